/// A kubeconfig file with everything in it.
enum KubeconfigText {
    static func make(server: String, authority: String, token: String, name: String = "heddle-sandbox") -> String {
        """
        apiVersion: v1
        kind: Config
        current-context: \(name)
        clusters:
        - name: \(name)
          cluster:
            server: \(server)
            certificate-authority-data: \(Base64.encode(authority.utf8))
        users:
        - name: \(name)
          user:
            token: \(token)
        contexts:
        - name: \(name)
          context:
            cluster: \(name)
            user: \(name)
            namespace: default

        """
    }
}
