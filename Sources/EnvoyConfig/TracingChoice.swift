import EnvoyAPI
import MeshModel
import SwiftProtobuf

/// Whether and how a proxy traces: the mesh's backend with what Telemetry objects say for the workload.
struct TracingChoice {
    let backend: TracingBackend
    let serviceName: String
    let samplingPercent: Double
    let tags: [String: String]
    let sources: [String]

    /// Nil where the mesh has no backend or the most specific policy that speaks about it disables tracing.
    ///
    /// Mesh < namespace < workload; of several policies of one scope the first by name counts. Sampling and tags are each
    /// taken from the most specific policy that has them, as Istio does.
    init?(for workload: WorkloadInstance, in snapshot: MeshSnapshot) {
        guard let backend = snapshot.settings.tracing else { return nil }
        func first(_ scope: (TelemetryPolicy) -> Bool) -> TelemetryPolicy? {
            snapshot.telemetry.filter(scope).min { $0.source < $1.source }
        }
        let own = first { policy in
            guard policy.namespace == workload.namespace, let selector = policy.selector else { return false }
            return selector.allSatisfy { workload.labels[$0.key] == $0.value }
        }
        let namespace = first { $0.namespace == workload.namespace && $0.selector == nil }
        let mesh = first { $0.namespace == snapshot.settings.rootNamespace && $0.selector == nil }
        let policies = [own, namespace, mesh].compactMap { $0 }
        if policies.first?.disablesTracing == true { return nil }
        self.backend = backend
        serviceName = "\(workload.applicationName).\(workload.namespace)"
        samplingPercent = policies.lazy.compactMap(\.samplingPercent).first ?? backend.samplingPercent
        tags = policies.lazy.map(\.tags).first { !$0.isEmpty } ?? [:]
        sources = policies.map(\.source)
    }

    var clusterName: String { "tracing|\(backend.port)||\(backend.host)" }

    var cluster: EnvoyCluster {
        .with {
            $0.name = clusterName
            $0.type = Self.isAddress(backend.host) ? .static : .strictDns
            if $0.type == .strictDns { $0.dnsLookupFamily = .v4Preferred }
            $0.connectTimeout = .init(milliseconds: 1000)
            $0.loadAssignment = .with {
                $0.clusterName = clusterName
                $0.endpoints = [
                    .with { $0.lbEndpoints = [.with { $0.endpoint.address = .socket(backend.host, backend.port) }] }
                ]
            }
        }
    }

    var managerTracing: EnvoyConnectionManager.Tracing {
        .with {
            $0.randomSampling = .init(samplingPercent)
            $0.provider = provider
            $0.customTags = tags.sorted { $0.key < $1.key }.map { name, value in
                .with {
                    $0.tag = name
                    $0.literal.value = value
                }
            }
        }
    }

    private var provider: Envoy_Config_Trace_V3_Tracing.Http {
        switch backend.kind {
        case .otlp:
            .with {
                $0.name = "envoy.tracers.opentelemetry"
                $0.typedConfig = .packing(
                    Envoy_Config_Trace_V3_OpenTelemetryConfig.with {
                        $0.serviceName = serviceName
                        $0.httpService.httpUri = .with {
                            $0.uri = "http://\(backend.host):\(backend.port)\(backend.path)"
                            $0.cluster = clusterName
                            $0.timeout = .init(milliseconds: 1000)
                        }
                    })
            }
        case .zipkin:
            .with {
                $0.name = "envoy.tracers.zipkin"
                // Zipkin's local service name is the node's cluster, which the bootstrap sets to the same name.
                $0.typedConfig = .packing(
                    Envoy_Config_Trace_V3_ZipkinConfig.with {
                        $0.collectorCluster = clusterName
                        $0.collectorEndpoint = backend.path
                        $0.collectorEndpointVersion = .httpJson
                        $0.collectorHostname = backend.host
                        $0.traceID128Bit = true
                        $0.sharedSpanContext = false
                        $0.traceContextOption = .useB3WithW3CPropagation
                    })
            }
        }
    }

    private static func isAddress(_ host: String) -> Bool {
        host.contains(":") || host.allSatisfy { $0.isNumber || $0 == "." }
    }
}

extension WorkloadInstance {
    /// The application that a pod belongs to: the usual labels, else its service account. As in the bootstrap.
    var applicationName: String { labels["app.kubernetes.io/name"] ?? labels["app"] ?? serviceAccount }
}
