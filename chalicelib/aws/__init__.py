"""The edge acts and never decides: AWS calls behind the controller's ports."""
