"""`python -m saddlepoint`, which a launcher of processes starts."""

from saddlepoint.cli import main

if __name__ == "__main__":
    main()
