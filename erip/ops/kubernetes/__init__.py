"""The manifests of deploy/k8s as one finds them in a cluster: built, checked, and as a Helm chart.

kustomize.py  builds an overlay without kubectl
schemas.py    asks whether each object is one that Kubernetes knows
policy.py     asks our own rules, which stand in deploy/k8s/policy
checkov.py    asks checkov, and knows which of its findings are accepted
chart.py      makes the chart deploy/helm/erip of the overlay for production
"""
