import EnvoyAPI
import SwiftProtobuf

/// The mesh's request metrics: what Envoy's stats access logger counts when a request or a connection ends.
///
/// `docs/reference/metrics.md` lists the names and labels as Prometheus sees them. Every label's value set is bounded but
/// for `source_ip`, which only plaintext has; the scope's limits bound that one.
struct RequestMetrics {
    enum Reporter: String { case source, destination }

    var reporter: Reporter
    /// Nil for plaintext: the label is left out, which Prometheus does not tell from an empty one (Envoy refuses that).
    var sourcePrincipal: String?
    var destinationService: String
    var security: String
    /// Set on inbound chains without mutual TLS: who still speaks plaintext, and to what.
    var plaintextPort: String?

    /// On the client's side. The subset is that of the cluster that the request really went to, and the security that of
    /// the endpoint, so both are right with weights, retries and clusters where only some endpoints are meshed.
    static func outbound(principal: String, service: String, security: String? = nil) -> RequestMetrics {
        RequestMetrics(
            reporter: .source, sourcePrincipal: principal, destinationService: service,
            security: security ?? "%UPSTREAM_METADATA(\(ClusterBuilder.metadata):security)%")
    }

    /// On the server's side. Service and subset come from the inbound cluster's metadata: they change when services and
    /// policies do, and a changed cluster disturbs no connection, where a changed listener would drain them all.
    static func inbound(isMutualTLS: Bool, port: Int?) -> RequestMetrics {
        RequestMetrics(
            reporter: .destination, sourcePrincipal: isMutualTLS ? "%DOWNSTREAM_PEER_URI_SAN%" : nil,
            destinationService: "%CLUSTER_METADATA(\(ClusterBuilder.metadata):service)%",
            security: isMutualTLS ? "mutual_tls" : "none",
            plaintextPort: isMutualTLS ? nil : port.map(String.init) ?? "other")
    }

    private typealias Config = Envoy_Extensions_AccessLoggers_Stats_V3_Config

    /// `requests_total` and `request_duration_milliseconds`.
    var httpLog: Envoy_Config_Accesslog_V3_AccessLog {
        log(
            Config.with {
                $0.statsScope = scope
                $0.counters = [counter("requests_total", common + [code, flags] + plaintext)]
                $0.histograms = [
                    .with {
                        $0.stat = stat("request_duration_milliseconds", common + [code])
                        $0.unit = .milliseconds
                        $0.valueFormat = "%DURATION%"
                    }
                ]
            })
    }

    /// `tcp_connections_closed_total`.
    var tcpLog: Envoy_Config_Accesslog_V3_AccessLog {
        log(
            Config.with {
                $0.statsScope = scope
                $0.counters = [counter("tcp_connections_closed_total", common + [flags] + plaintext)]
            })
    }

    private var common: [Tag] {
        [("reporter", reporter.rawValue)] + (sourcePrincipal.map { [("source_principal", $0)] } ?? []) + [
            ("destination_service", destinationService),
            ("destination_subset", "%CLUSTER_METADATA(\(ClusterBuilder.metadata):subset)%"),
            ("connection_security_policy", security),
        ]
    }

    private var code: Tag { ("response_code", "%RESPONSE_CODE%") }
    private var flags: Tag { ("response_flags", "%RESPONSE_FLAGS%") }

    private var plaintext: [Tag] {
        guard let plaintextPort else { return [] }
        return [
            // The peer of the connection: not what a forwarded-for header claims.
            ("source_ip", "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%"), ("destination_port", plaintextPort),
        ]
    }

    private typealias Tag = (name: String, format: String)

    private var scope: Envoy_Type_V3_Scope {
        .with {
            $0.prefix = "heddle"
            // For each listener's chain; a scope that they share (`sharing_name`) makes Envoy 1.40 crash when it ends.
            $0.maxCounters = 1000
            $0.maxHistograms = 200
        }
    }

    private func stat(_ name: String, _ tags: [Tag]) -> Config.Stat {
        .with {
            $0.name = name
            $0.tags = tags.map { tag in
                .with {
                    $0.name = tag.name
                    $0.valueFormat = tag.format
                }
            }
        }
    }

    private func counter(_ name: String, _ tags: [Tag]) -> Config.Counter {
        .with {
            $0.stat = stat(name, tags)
            $0.valueFixed = 1
        }
    }

    private func log(_ config: Config) -> Envoy_Config_Accesslog_V3_AccessLog {
        .with {
            $0.name = "envoy.access_loggers.stats"
            $0.typedConfig = .packing(config)
        }
    }
}
