"""`python -m eucentric`, which is `eucentric` where the program itself is not on the path."""

import sys

from eucentric.cli import main

if __name__ == "__main__":
    sys.exit(main())
