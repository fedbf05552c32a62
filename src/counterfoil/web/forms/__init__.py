"""Forms of the page: reading, validation and help texts."""
