/// Which of a pod's TCP connections go through Envoy, as one nftables script.
///
/// The rules say what Istio's do. Outbound: whatever the pod's processes open goes to Envoy's outbound port, but for
/// loopback and for Envoy's own connections. Inbound: whatever arrives from outside goes to Envoy's inbound port. Two
/// cases make the order matter:
///
/// - Envoy hands an inbound connection to the application over loopback, at the pod's own address. It sends from
///   127.0.0.6 (or ::6), which is never captured; the agent's own probes do the same.
/// - The application calls a Service whose chosen endpoint is its own pod. Envoy's connection to itself runs over
///   loopback too, but from the pod's address: it is sent to the inbound port, where a mutual-TLS listener expects it.
///
/// NAT looks at a connection's first packet only, so connections that are open when the rules come stay as they are.
struct CaptureRules: Equatable, Sendable {
    static let table = "heddle_capture"
    /// Source addresses that mark a connection from Envoy or the agent to the application.
    static let inboundSourceIPv4 = "127.0.0.6"
    static let inboundSourceIPv6 = "::6"

    var proxyUID = 1337
    var inboundPort = 15006
    var outboundPort = 15001
    /// Nil captures every inbound port.
    var includeInboundPorts: [Int]?
    var excludeInboundPorts = [15020, 15021, 15090]
    var excludeOutboundPorts: [Int] = []
    /// Nil captures every destination.
    var includeOutboundCIDRs: [CIDR]?
    var excludeOutboundCIDRs: [CIDR] = []

    /// The script for `nft -f -`. It replaces an earlier table in the same transaction: run twice, it changes nothing,
    /// and at no moment is the pod without rules.
    func render() -> String {
        """
        # Heddle: sends this pod's TCP traffic through its sidecar.
        add table inet \(Self.table)
        delete table inet \(Self.table)
        table inet \(Self.table) {
            chain prerouting {
                type nat hook prerouting priority -100; policy accept;
                iifname "lo" return
                meta l4proto tcp jump inbound
            }
            chain output {
                type nat hook output priority -100; policy accept;
                meta l4proto tcp jump outbound
            }
            chain inbound {
        \(indented(inbound))
            }
            chain outbound {
        \(indented(outbound))
            }
        }

        """
    }

    private var inbound: [String] {
        var rules: [String] = []
        if !excludeInboundPorts.isEmpty { rules.append("tcp dport \(set(excludeInboundPorts)) return") }
        if let ports = includeInboundPorts {
            if !ports.isEmpty { rules.append("tcp dport \(set(ports)) redirect to :\(inboundPort)") }
        } else {
            rules.append("meta l4proto tcp redirect to :\(inboundPort)")
        }
        return rules
    }

    private var outbound: [String] {
        var rules = [
            "oifname \"lo\" ip saddr \(Self.inboundSourceIPv4) return",
            "oifname \"lo\" ip6 saddr \(Self.inboundSourceIPv6) return",
            "oifname \"lo\" meta skuid \(proxyUID) ip daddr != 127.0.0.0/8 jump inbound",
            "oifname \"lo\" meta skuid \(proxyUID) ip6 daddr != ::1 jump inbound",
            "oifname \"lo\" return",
            "meta skuid \(proxyUID) return",
        ]
        if !excludeOutboundPorts.isEmpty { rules.append("tcp dport \(set(excludeOutboundPorts)) return") }
        rules += excludeOutboundCIDRs.map { "\($0.match) return" }
        if let included = includeOutboundCIDRs {
            rules += included.map { "\($0.match) meta l4proto tcp redirect to :\(outboundPort)" }
        } else {
            rules.append("meta l4proto tcp redirect to :\(outboundPort)")
        }
        return rules
    }

    private func set(_ ports: [Int]) -> String {
        "{ " + Set(ports).sorted().map(String.init).joined(separator: ", ") + " }"
    }

    private func indented(_ rules: [String]) -> String {
        rules.map { "        " + $0 }.joined(separator: "\n")
    }
}
