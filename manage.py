"""The same as the console script `inferhub`, for use without an installation."""

from inferhub.cli import main

if __name__ == "__main__":
    main()
