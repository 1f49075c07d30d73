"""The explorer: state in `session`, views of it in `widgets` and `screens`, wiring in `app`."""
