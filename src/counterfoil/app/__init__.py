"""Operations for the command line, the UI, the API and other programs."""
