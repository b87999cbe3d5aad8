"""Stand-ins for Kubernetes and ovn-kubernetes: TEST CODE. They run no pod and move no packet.

They take the real programs' place on lab hosts where no mirror with those is given, and are strict about what they
are handed: flags, files, certificates, keys, configuration, addresses. What they accept the real ones accept too;
what they refuse is a defect of the runbooks.
"""
