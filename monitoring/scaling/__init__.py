"""The autoscaler: measures, asks the policy (`policy`), and has a driver change the number of workers."""
