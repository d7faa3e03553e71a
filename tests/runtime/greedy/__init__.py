"""Programs that want more than a sandbox gives."""
