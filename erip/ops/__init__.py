"""What installs and runs ERIP on machines: the local stack, the node guard, and the configuration files of a site."""
