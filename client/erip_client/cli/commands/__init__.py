"""The commands, a file for each kind of thing. `register` adds a file's to the program."""
