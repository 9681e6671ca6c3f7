"""The container image, built twice and run as the manifests of deploy/k8s say."""
