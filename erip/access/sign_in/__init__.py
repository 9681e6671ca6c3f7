"""How people sign in: password, second factor, sessions, and asking again before what is dangerous."""
