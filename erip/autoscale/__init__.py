"""The autoscaler: measures, asks the policy (`workflows.core.scaling`), and has a driver change the workers' number."""
