"""An invented company, stored in compact arrays and reproducible from its seed."""
