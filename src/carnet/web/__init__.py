"""What people meet in a browser. Its first tenant is the public verification page, which needs no server.

It refuses to know rules and storage: whatever it shows comes from the services.
"""
