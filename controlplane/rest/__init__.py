"""The control plane over HTTP: the web application and its protocols. The service layer decides, the store keeps."""
