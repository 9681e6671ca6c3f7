"""A site of three machines and a balancer, installed by the commands of docs/how-to/three-hosts.md: `python -m
benchmarks.hosts`, as root, on one machine. Each is a set of namespaces of the kernel with files of its own."""
