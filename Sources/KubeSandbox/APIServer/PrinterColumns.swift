import FoundationEssentials
import KubeCore

/// The columns of built-in kinds, between the name and the age; kinds without any show those two.
enum PrinterColumns {
    static func columns(of type: ResourceType) -> [PrinterColumn] {
        switch type.qualifiedName {
        case "pods": pods
        case "deployments.apps": deployments
        case "replicasets.apps": replicaSets
        case "statefulsets.apps": [ready]
        case "daemonsets.apps": daemonSets
        case "services": services
        case "endpoints": [text("Endpoints") { endpoints($0) }]
        case "endpointslices.discovery.k8s.io": endpointSlices
        case "namespaces": [text("Status") { $0[path: "status", "phase"]?.string }]
        case "nodes": nodes
        case "events", "events.events.k8s.io": events
        case "configmaps": [count("Data") { ($0["data"]?.object?.count ?? 0) + ($0["binaryData"]?.object?.count ?? 0) }]
        case "secrets": [text("Type") { $0["type"]?.string }, count("Data") { $0["data"]?.object?.count ?? 0 }]
        case "serviceaccounts": [count("Secrets") { $0["secrets"]?.array?.count ?? 0 }]
        case "leases.coordination.k8s.io": [text("Holder") { $0[path: "spec", "holderIdentity"]?.string ?? "" }]
        case "horizontalpodautoscalers.autoscaling": autoscalers
        case "poddisruptionbudgets.policy": budgets
        case "customresourcedefinitions.apiextensions.k8s.io":
            [text("Created At") { $0[path: "metadata", "creationTimestamp"]?.string }]
        case "mutatingwebhookconfigurations.admissionregistration.k8s.io",
            "validatingwebhookconfigurations.admissionregistration.k8s.io":
            [count("Webhooks") { $0["webhooks"]?.array?.count ?? 0 }]
        default: []
        }
    }

    /// Age, and for workloads what `-o wide` adds after it.
    static func trailing(of type: ResourceType) -> [PrinterColumn] {
        switch type.qualifiedName {
        case "events", "events.events.k8s.io", "customresourcedefinitions.apiextensions.k8s.io": []
        case "pods": [PrinterTable.age] + podsWide
        case "deployments.apps", "replicasets.apps", "statefulsets.apps", "daemonsets.apps":
            [PrinterTable.age] + workloadWide
        case "services": [PrinterTable.age, text("Selector", wide: true) { labels($0[path: "spec", "selector"]) }]
        case "nodes":
            [PrinterTable.age, text("Version") { $0[path: "status", "nodeInfo", "kubeletVersion"]?.string }] + nodesWide
        default: [PrinterTable.age]
        }
    }

    // MARK: - Building blocks

    private static func text(_ name: String, wide: Bool = false, _ value: @escaping @Sendable (JSONValue) -> String?)
        -> PrinterColumn
    {
        PrinterColumn(name, wide: wide) { object, _ in .string(value(object) ?? "<none>") }
    }

    private static func count(_ name: String, _ value: @escaping @Sendable (JSONValue) -> Int?) -> PrinterColumn {
        PrinterColumn(name, type: "integer") { object, _ in .int(value(object) ?? 0) }
    }

    private static func number(_ name: String, _ section: String, _ field: String) -> PrinterColumn {
        count(name) { $0[section]?[field]?.int }
    }

    private static func labels(_ value: JSONValue?) -> String? {
        guard let map = value?.stringMap, !map.isEmpty else { return nil }
        return map.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: ",")
    }

    private static func joined(_ parts: [String]) -> String? { parts.isEmpty ? nil : parts.joined(separator: ",") }

    // MARK: - Workloads

    private static let pods = [
        text("Ready") { PodSummary($0).ready },
        text("Status") { PodSummary($0).status },
        PrinterColumn("Restarts") { object, now in .string(PodSummary(object).restarts(now)) },
    ]
    private static let podsWide = [
        text("IP", wide: true) { $0[path: "status", "podIP"]?.string },
        text("Node", wide: true) { $0[path: "spec", "nodeName"]?.string },
        text("Nominated Node", wide: true) { $0[path: "status", "nominatedNodeName"]?.string },
        text("Readiness Gates", wide: true) { _ in nil },
    ]
    private static let ready = text("Ready") {
        "\($0[path: "status", "readyReplicas"]?.int ?? 0)/\($0[path: "spec", "replicas"]?.int ?? 0)"
    }
    private static let deployments = [
        ready, number("Up-to-date", "status", "updatedReplicas"), number("Available", "status", "availableReplicas"),
    ]
    private static let replicaSets = [
        number("Desired", "spec", "replicas"), number("Current", "status", "replicas"),
        number("Ready", "status", "readyReplicas"),
    ]
    private static let daemonSets = [
        number("Desired", "status", "desiredNumberScheduled"), number("Current", "status", "currentNumberScheduled"),
        number("Ready", "status", "numberReady"), number("Up-to-date", "status", "updatedNumberScheduled"),
        number("Available", "status", "numberAvailable"),
        text("Node Selector") { labels($0[path: "spec", "template", "spec", "nodeSelector"]) },
    ]
    private static let workloadWide = [
        text("Containers", wide: true) { joined(containers($0, "name")) },
        text("Images", wide: true) { joined(containers($0, "image")) },
        text("Selector", wide: true) {
            try? $0[path: "spec", "selector"]?.decode(LabelSelector.self).query
        },
    ]

    private static func containers(_ object: JSONValue, _ field: String) -> [String] {
        (object[path: "spec", "template", "spec", "containers"]?.array ?? []).compactMap { $0[field]?.string }
    }

    private static let autoscalers = [
        text("Reference") {
            let target = $0[path: "spec", "scaleTargetRef"]
            return "\(target?["kind"]?.string ?? "")/\(target?["name"]?.string ?? "")"
        },
        number("MinPods", "spec", "minReplicas"), number("MaxPods", "spec", "maxReplicas"),
        number("Replicas", "status", "currentReplicas"),
    ]
    private static let budgets = [
        text("Min Available") { scalar($0[path: "spec", "minAvailable"]) ?? "N/A" },
        text("Max Unavailable") { scalar($0[path: "spec", "maxUnavailable"]) ?? "N/A" },
        number("Allowed Disruptions", "status", "disruptionsAllowed"),
    ]

    private static func scalar(_ value: JSONValue?) -> String? { value.map { $0.string ?? $0.serialized() } }

    // MARK: - Network

    private static let services = [
        text("Type") { $0[path: "spec", "type"]?.string },
        text("Cluster-IP") { $0[path: "spec", "clusterIP"]?.string },
        text("External-IP") { $0[path: "spec", "externalName"]?.string },
        text("Port(s)") { object in
            joined(
                (object[path: "spec", "ports"]?.array ?? []).map {
                    "\($0["port"]?.int ?? 0)/\($0["protocol"]?.string ?? "TCP")"
                })
        },
    ]

    private static func endpoints(_ object: JSONValue) -> String? {
        joined(
            (object["subsets"]?.array ?? []).flatMap { subset -> [String] in
                let addresses = (subset["addresses"]?.array ?? []).compactMap { $0["ip"]?.string }
                let ports = (subset["ports"]?.array ?? []).compactMap { $0["port"]?.int }
                return addresses.flatMap { address in ports.isEmpty ? [address] : ports.map { "\(address):\($0)" } }
            })
    }

    private static let endpointSlices = [
        text("AddressType") { $0["addressType"]?.string },
        text("Ports") {
            joined(($0["ports"]?.array ?? []).compactMap { $0["port"]?.int.map(String.init) }) ?? "<unset>"
        },
        text("Endpoints") {
            joined(($0["endpoints"]?.array ?? []).flatMap { ($0["addresses"]?.array ?? []).compactMap(\.string) })
                ?? "<unset>"
        },
    ]

    // MARK: - Cluster

    private static let nodes = [
        text("Status") { node in
            let ready = (node[path: "status", "conditions"]?.array ?? []).first { $0["type"] == "Ready" }
            let state = ready?["status"] == "True" ? "Ready" : ready == nil ? "Unknown" : "NotReady"
            return node[path: "spec", "unschedulable"] == true ? state + ",SchedulingDisabled" : state
        },
        text("Roles") { node in
            let prefix = "node-role.kubernetes.io/"
            let labels = (node[path: "metadata", "labels"]?.object ?? [:]).keys.filter { $0.hasPrefix(prefix) }
            return joined(labels.map { String($0.dropFirst(prefix.count)) }.sorted())
        },
    ]
    private static let nodesWide = [
        text("Internal-IP", wide: true) { node in
            (node[path: "status", "addresses"]?.array ?? []).first { $0["type"] == "InternalIP" }?["address"]?.string
        },
        text("OS-Image", wide: true) { $0[path: "status", "nodeInfo", "osImage"]?.string },
        text("Kernel-Version", wide: true) { $0[path: "status", "nodeInfo", "kernelVersion"]?.string },
        text("Container-Runtime", wide: true) { $0[path: "status", "nodeInfo", "containerRuntimeVersion"]?.string },
    ]
    private static let events = [
        PrinterColumn("Last Seen") { event, now in
            let times = ["lastTimestamp", "deprecatedLastTimestamp", "eventTime", "firstTimestamp"]
            let time = times.lazy.compactMap { event[$0]?.string }.first
            return .string(PrinterTable.age(time ?? event[path: "metadata", "creationTimestamp"]?.string, now))
        },
        text("Type") { $0["type"]?.string },
        text("Reason") { $0["reason"]?.string },
        text("Object") { event in
            let object = event["involvedObject"] ?? event["regarding"]
            return "\((object?["kind"]?.string ?? "").lowercased())/\(object?["name"]?.string ?? "")"
        },
        text("Message") { ($0["message"] ?? $0["note"])?.string },
    ]
}
