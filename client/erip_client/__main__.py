"""`python -m erip_client`: the program `erip`."""

from .cli import main

if __name__ == "__main__":
    main()
