import KubeCore

// Heddle's own slim definitions of the Istio kinds that the native mesh reads, for clusters without Istio. They type the
// fields that Heddle reads and keep everything else, so that an object written for Istio is accepted as it is.

extension CustomResourceDefinition {
    package static let istio: [CustomResourceDefinition] = [
        networking(
            .virtualServices, "Routes requests to hosts by their properties.", shortName: "vs",
            columns: [
                .init("Gateways", ".spec.gateways", "The gateways that the routes apply to."),
                .init("Hosts", ".spec.hosts", "The hosts that the routes apply to."),
            ], spec: virtualService),
        networking(
            .destinationRules, "What happens to traffic for a host after routing.", shortName: "dr",
            columns: [.init("Host", ".spec.host", "The host.")], spec: destinationRule),
        networking(
            .sidecars, "What the sidecars of a namespace need to reach.", shortName: nil, columns: [], spec: sidecar),
        .init(
            resource: .peerAuthentications, otherVersions: ["v1beta1"],
            description: "Whether workloads accept plaintext beside mutual TLS.", shortNames: ["pa"],
            categories: ["istio-io", "security-istio-io"],
            columns: [.init("Mode", ".spec.mtls.mode", "The mutual TLS mode."), .age], spec: peerAuthentication,
            status: anyStatus, isSpecRequired: false),
        .init(
            resource: .telemetries, otherVersions: ["v1alpha1"], description: "Which telemetry workloads produce.",
            shortNames: ["telemetry"], categories: ["istio-io", "telemetry-istio-io"], columns: [.age], spec: telemetry,
            status: anyStatus, isSpecRequired: false),
    ]

    private static func networking(
        _ resource: GroupVersionResource, _ description: String, shortName: String?, columns: [Column], spec: Schema
    ) -> CustomResourceDefinition {
        .init(
            resource: resource, otherVersions: ["v1beta1", "v1alpha3"], description: description,
            shortNames: shortName.map { [$0] } ?? [], categories: ["istio-io", "networking-istio-io"],
            columns: columns + [.age], spec: spec, status: anyStatus, isSpecRequired: false)
    }

    private static let anyStatus = Schema.open("What became of the object.")
    private static let names = Schema.string("A name.")

    private enum TLSMode: String, CaseIterable {
        case unset = "UNSET"
        case disable = "DISABLE"
        case permissive = "PERMISSIVE"
        case strict = "STRICT"
    }

    private static let selector = Schema.open(
        "Selects pods; without it, the whole namespace.",
        [.field("matchLabels", .map("Labels that pods must have.", of: .string("The label's value.")))])

    private static let destination = Schema.open(
        "Where requests go.",
        [
            .field("host", .string("A Service's name or DNS name.")),
            .field("subset", .string("A subset of the host's DestinationRule.")),
            .field("port", .open("The Service's port.", [.field("number", .integer("Its number.", unit: .port))])),
        ])

    private static let virtualService = Schema.open(
        "Routes of one or more hosts.",
        [
            .field("hosts", .list("The hosts that the routes apply to.", of: names)),
            .field("gateways", .list("The gateways, or mesh for all sidecars.", of: names)),
            .field("exportTo", .list("Namespaces that see the routes.", of: names)),
            .field(
                "http",
                .list(
                    "HTTP routes; the first match counts.",
                    of: .open(
                        "One HTTP route.",
                        [
                            .field("name", .string("Its name.")),
                            .field("match", .list("Conditions, any of which suffices.", of: .open("One condition."))),
                            .field(
                                "route",
                                .list(
                                    "Destinations by weight.",
                                    of: .open(
                                        "One destination.",
                                        [
                                            .field("destination", destination),
                                            .field(
                                                "weight",
                                                .integer(
                                                    "Share of requests, relative to the others.", unit: .weight,
                                                    minimum: 0)),
                                        ]))),
                            .field("timeout", .string("For the whole request.")),
                            .field(
                                "retries",
                                .open(
                                    "Tries after the first.",
                                    [
                                        .field(
                                            "attempts", .integer("Tries after the first.", unit: .tries, minimum: 0)),
                                        .field("perTryTimeout", .string("For one try.")),
                                        .field("retryOn", .string("Conditions, separated by commas.")),
                                    ])),
                        ]))),
            .field("tcp", .list("TCP routes.", of: .open("One TCP route."))),
            .field("tls", .list("TLS routes.", of: .open("One TLS route."))),
        ])

    private static let destinationRule = Schema.open(
        "Traffic policy and subsets of one host.",
        [
            .field("host", .string("A Service's name or DNS name.")),
            .field("trafficPolicy", .open("Load balancing, pools, outlier detection and TLS.")),
            .field(
                "subsets",
                .list(
                    "Named parts of the host's endpoints.",
                    of: .open(
                        "One subset.",
                        [
                            .required("name", .string("Its name.")),
                            .field("labels", .map("Labels of its pods.", of: .string("The label's value."))),
                            .field("trafficPolicy", .open("Its own traffic policy.")),
                        ]))),
            .field("exportTo", .list("Namespaces that see the rule.", of: names)),
            .field("workloadSelector", selector),
        ])

    private static let sidecar = Schema.open(
        "What the sidecars of a namespace need to reach.",
        [
            .field("workloadSelector", .open("Selects pods; without it, the whole namespace.")),
            .field("ingress", .list("Listeners for incoming traffic.", of: .open("One listener."))),
            .field(
                "egress",
                .list(
                    "Listeners for outgoing traffic.",
                    of: .open(
                        "One listener.", [.field("hosts", .list("namespace/host that may be reached.", of: names))]))),
            .field("outboundTrafficPolicy", .open("What happens to unknown destinations.")),
        ])

    private static let peerAuthentication = Schema.open(
        "Whether workloads accept plaintext.",
        [
            .field("selector", selector),
            .field("mtls", .open("For all ports.", [.field("mode", .choice("The mode.", of: TLSMode.allCases))])),
            .field(
                "portLevelMtls",
                .map(
                    "For single container ports.",
                    of: .open("For one port.", [.field("mode", .choice("The mode.", of: TLSMode.allCases))]))),
        ])

    private static let telemetry = Schema.open(
        "Which telemetry workloads produce.",
        [
            .field("selector", selector),
            .field(
                "tracing",
                .list(
                    "Tracing.",
                    of: .open(
                        "Tracing of some traffic.",
                        [
                            .field(
                                "randomSamplingPercentage",
                                .number("Share of requests that are traced.", unit: .percent, minimum: 0, maximum: 100))
                        ]))),
            .field("metrics", .list("Metrics.", of: .open("Metrics of some traffic."))),
            .field("accessLogging", .list("Access logs.", of: .open("Access logs of some traffic."))),
        ])
}
