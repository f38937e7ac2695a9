import KubeCore

/// Sends a container's network probes through the agent, so that they keep working when the port wants mutual TLS.
///
/// Exec probes stay: they run inside the container. A probe of a port that is named is resolved here, since the agent
/// knows no names; a name that the container does not declare leaves the probe as it is.
struct ProbeRewrite {
    static let agentPort = 15020
    /// What the agent has to ask for each rewritten path, in the shape of Kubernetes' probe handlers.
    private(set) var targets: [String: JSONValue] = [:]

    mutating func rewrite(_ container: JSONValue) -> JSONValue {
        var container = container
        guard let name = container["name"]?.string else { return container }
        for (field, path) in [("readinessProbe", "readyz"), ("livenessProbe", "livez"), ("startupProbe", "startupz")] {
            guard let probe = container[field], let target = target(of: probe, in: container) else { continue }
            let route = "/app-health/\(name)/\(path)"
            targets[route] = target
            container[field] = detour(probe, to: route)
        }
        return container
    }

    private func target(of probe: JSONValue, in container: JSONValue) -> JSONValue? {
        var target: JSONValue = ["timeoutSeconds": probe["timeoutSeconds"] ?? 1]
        for handler in ["httpGet", "tcpSocket", "grpc"] {
            guard var action = probe[handler], let port = port(action["port"], of: container) else { continue }
            action["port"] = .int(port)
            if handler == "httpGet" {
                action["headers"] = action["httpHeaders"]
                action["httpHeaders"] = nil
            }
            target[handler] = action
            return target
        }
        return nil
    }

    private func detour(_ probe: JSONValue, to route: String) -> JSONValue {
        var probe = probe
        probe["tcpSocket"] = nil
        probe["grpc"] = nil
        probe["httpGet"] = ["path": .string(route), "port": .int(Self.agentPort), "scheme": "HTTP"]
        return probe
    }

    private func port(_ value: JSONValue?, of container: JSONValue) -> Int? {
        if let number = value?.int { return number }
        guard let name = value?.string else { return nil }
        if let number = Int(name) { return number }
        return container["ports"]?.array?.first { $0["name"]?.string == name }?["containerPort"]?.int
    }
}
