import KubeCore

/// From Services and EndpointSlices to the node's nftables rules, as kube-proxy: one table, replaced as a whole.
struct ServiceRules {
    struct Endpoint: Hashable, Comparable {
        var address: String
        var port: Int

        static func < (a: Self, b: Self) -> Bool { (a.address, a.port) < (b.address, b.port) }
    }
    struct Port: Hashable {
        var address: String
        var transport: String
        var number: Int
        var endpoints: [Endpoint]
    }

    let ports: [Port]

    init(services: [KubeObject], slices: [KubeObject]) {
        let byService = Dictionary(grouping: slices) {
            ObjectKey(namespace: $0.namespace, name: $0.labels[EndpointSliceController.serviceNameLabel] ?? "")
        }
        ports = services.sorted { $0.key < $1.key }.flatMap { service -> [Port] in
            guard let address = service.spec["clusterIP"]?.string, Self.isIPv4(address) else { return [] }
            return (service.spec["ports"]?.array ?? []).compactMap { port in
                guard let number = port["port"]?.int else { return nil }
                let transport = (port["protocol"]?.string ?? "TCP").lowercased()
                guard transport == "tcp" || transport == "udp" else { return nil }
                let endpoints = (byService[service.key] ?? []).flatMap { Self.endpoints($0, port: port) }
                return Port(address: address, transport: transport, number: number, endpoints: Set(endpoints).sorted())
            }
        }
    }

    /// Ready endpoints of a slice for a Service's port; a slice's port is the Service's by name.
    private static func endpoints(_ slice: KubeObject, port: JSONValue) -> [Endpoint] {
        let match = slice.json["ports"]?.array?.first {
            ($0["name"]?.string ?? "") == (port["name"]?.string ?? "")
                && ($0["protocol"] ?? "TCP") == (port["protocol"] ?? "TCP")
        }
        guard let number = match?["port"]?.int else { return [] }
        return (slice.json["endpoints"]?.array ?? []).filter { $0[path: "conditions", "ready"]?.bool ?? true }
            .flatMap { $0["addresses"]?.array ?? [] }.compactMap(\.string).filter(isIPv4)
            .map { Endpoint(address: $0, port: number) }
    }

    /// Whether a text may stand in a rule.
    static func isIPv4(_ text: String) -> Bool {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts.allSatisfy { UInt8($0) != nil }
    }

    /// The input of `nft -f`.
    var script: String {
        var chains = ""
        var routes: [String] = []
        var refused: [String] = []
        for (index, port) in ports.enumerated() {
            let key = "\(port.address) . \(port.transport) . \(port.number)"
            guard !port.endpoints.isEmpty else {
                refused.append(key)
                continue
            }
            routes.append("\(key) : goto service\(index)")
            let choices = port.endpoints.enumerated().map { "\($0) : \($1.address) . \($1.port)" }
            chains += """
                  chain service\(index) {
                    meta l4proto \(port.transport) dnat ip to numgen random mod \(choices.count) map { \(choices.joined(separator: ", ")) }
                  }

                """
        }
        let hairpins = Set(ports.flatMap(\.endpoints).map(\.address)).sorted().map { "\($0) . \($0)" }
        return """
            table ip heddle_proxy
            delete table ip heddle_proxy
            table ip heddle_proxy {
            \(chains)  map services {
                type ipv4_addr . inet_proto . inet_service : verdict
            \(Self.elements(routes))  }
              set refused {
                type ipv4_addr . inet_proto . inet_service
            \(Self.elements(refused))  }
              set hairpins {
                type ipv4_addr . ipv4_addr
            \(Self.elements(hairpins))  }
              chain services {
                ip daddr . meta l4proto . th dport vmap @services
              }
              chain prerouting {
                type nat hook prerouting priority dstnat
                jump services
              }
              chain output {
                type nat hook output priority -100
                jump services
              }
              chain postrouting {
                type nat hook postrouting priority srcnat
                ip saddr . ip daddr @hairpins snat to \(NodeAddresses.node)
              }
              chain refuse {
                ip daddr . meta l4proto . th dport @refused reject
              }
              chain forward {
                type filter hook forward priority filter
                jump refuse
              }
              chain outgoing {
                type filter hook output priority filter
                jump refuse
              }
            }

            """
    }

    private static func elements(_ list: [String]) -> String {
        list.isEmpty ? "" : "    elements = { \(list.joined(separator: ", ")) }\n"
    }
}
