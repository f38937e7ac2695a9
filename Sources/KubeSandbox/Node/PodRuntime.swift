import FoundationEssentials
import KubeCore

/// What the node knows of a pod that it runs; the pod's status is a function of this and its spec.
struct PodRuntime: Sendable {
    enum ContainerState: Sendable, Equatable {
        case waiting(reason: String, message: String)
        case running(since: Date)
        case terminated(Termination)
    }

    struct Termination: Sendable, Equatable {
        var exit: ProcessExit
        var reason: String
        var message = ""
        var startedAt: Date
        var finishedAt: Date
        var containerID: String
    }

    struct Container: Sendable, Equatable {
        var state = ContainerState.waiting(reason: "PodInitializing", message: "")
        var last: Termination?
        var restarts = 0
        /// Its startup probe succeeded, or it has none and runs.
        var isStarted = false
        /// Its readiness probe succeeds, or it has none and has started.
        var isReady = false
        var id = ""
        /// Will not run again.
        var isOver = false

        var termination: Termination? {
            if case .terminated(let termination) = state { termination } else { nil }
        }
        var isRunning: Bool {
            if case .running = state { true } else { false }
        }
    }

    var startedAt: Date
    var podIP = ""
    var containers: [String: Container] = [:]
    var isInitialized = false
    /// A failure that ends the pod: an init container that may not run again.
    var failure: (reason: String, message: String)?
    /// The pod is being stopped because it was deleted.
    var isStopping = false
}

/// Renders a pod's status. Pure.
struct PodStatus {
    let pod: KubeObject
    let runtime: PodRuntime
    let nodeAddress: String
    let now: Date

    private var specs: (initial: [ContainerSpec], applications: [ContainerSpec]) { ContainerSpec.all(of: pod) }

    /// The whole status; conditions of others (readiness gates) are kept.
    var json: JSONValue {
        var status: JSONValue = [
            "phase": .string(phase), "startTime": .string(KubeTime.format(runtime.startedAt)),
            "qosClass": pod.status["qosClass"] ?? "BestEffort", "hostIP": .string(nodeAddress),
            "hostIPs": [["ip": .string(nodeAddress)]],
        ]
        if !runtime.podIP.isEmpty {
            status["podIP"] = .string(runtime.podIP)
            status["podIPs"] = [["ip": .string(runtime.podIP)]]
        }
        if let failure = runtime.failure {
            status["reason"] = .string(failure.reason)
            status["message"] = .string(failure.message)
        }
        let (initial, applications) = specs
        if !initial.isEmpty { status["initContainerStatuses"] = .array(initial.map(containerStatus)) }
        status["containerStatuses"] = .array(applications.map(containerStatus))
        status["conditions"] = .array(conditions)
        return status
    }

    private func container(_ spec: ContainerSpec) -> PodRuntime.Container { runtime.containers[spec.name] ?? .init() }

    var phase: String {
        if runtime.failure != nil { return "Failed" }
        guard runtime.isInitialized else { return "Pending" }
        let applications = specs.applications.map(container)
        guard applications.allSatisfy(\.isOver) else {
            return applications.contains { $0.isRunning || $0.termination != nil || $0.last != nil }
                ? "Running" : "Pending"
        }
        return applications.allSatisfy { ($0.termination ?? $0.last)?.exit.code == 0 } ? "Succeeded" : "Failed"
    }

    private var conditions: [JSONValue] {
        let (initial, applications) = specs
        let counted = applications + initial.filter { $0.role == .sidecar }
        let unready = counted.filter { !(container($0).isReady && container($0).isRunning) }.map(\.name)
        let isDone = phase == "Succeeded" || phase == "Failed"
        let gates = (pod.spec["readinessGates"]?.array ?? []).compactMap { $0["conditionType"]?.string }
        let closed = gates.filter { pod.condition($0)?["status"]?.string != "True" }
        let completed = phase == "Succeeded" ? "PodCompleted" : "PodFailed"
        let list = unready.joined(separator: " ")

        var own: [(type: String, isTrue: Bool, reason: String, message: String)] = [
            ("PodReadyToStartContainers", !runtime.podIP.isEmpty && !isDone, "", ""),
            (
                "Initialized", runtime.isInitialized, "ContainersNotInitialized",
                "containers with incomplete status: [\(list)]"
            ),
        ]
        let areReady = unready.isEmpty && runtime.isInitialized && !isDone
        let notReady = isDone ? (completed, "") : ("ContainersNotReady", "containers with unready status: [\(list)]")
        own.append(("ContainersReady", areReady, notReady.0, notReady.1))
        let gate =
            areReady && !closed.isEmpty ? ("ReadinessGatesNotReady", "readiness gates not true: \(closed)") : notReady
        own.append(("Ready", areReady && closed.isEmpty, gate.0, gate.1))
        own.append(("PodScheduled", true, "", ""))

        let types = Set(own.map(\.type))
        let others = (pod.status["conditions"]?.array ?? []).filter { !types.contains($0["type"]?.string ?? "") }
        return own.map(condition) + others
    }

    private func condition(_ part: (type: String, isTrue: Bool, reason: String, message: String)) -> JSONValue {
        let status = part.isTrue ? "True" : "False"
        let old = pod.condition(part.type)
        var condition: JSONValue = ["type": .string(part.type), "status": .string(status), "lastProbeTime": .null]
        condition["lastTransitionTime"] =
            old?["status"]?.string == status
            ? old?["lastTransitionTime"] ?? .string(KubeTime.format(now)) : .string(KubeTime.format(now))
        if !part.isTrue, !part.reason.isEmpty {
            condition["reason"] = .string(part.reason)
            condition["message"] = .string(part.message)
        }
        return condition
    }

    private func containerStatus(_ spec: ContainerSpec) -> JSONValue {
        let container = container(spec)
        // An init container is ready when it has done its work.
        let isReady =
            spec.role == .initial ? container.termination?.exit == .exited(0) : container.isReady && container.isRunning
        var status: JSONValue = [
            "name": .string(spec.name), "image": .string(spec.image),
            "imageID": .string(container.id.isEmpty ? "" : spec.image),
            "ready": .bool(isReady), "started": .bool(container.isStarted && container.isRunning),
            "restartCount": .int(container.restarts), "state": Self.state(container.state),
            "lastState": container.last.map { Self.state(.terminated($0)) } ?? [:],
        ]
        if !container.id.isEmpty { status["containerID"] = .string(container.id) }
        return status
    }

    private static func state(_ state: PodRuntime.ContainerState) -> JSONValue {
        switch state {
        case .waiting(let reason, let message):
            var body: JSONValue = ["reason": .string(reason)]
            if !message.isEmpty { body["message"] = .string(message) }
            return ["waiting": body]
        case .running(let since):
            return ["running": ["startedAt": .string(KubeTime.format(since))]]
        case .terminated(let end):
            var body: JSONValue = [
                "exitCode": .int(end.exit.code), "reason": .string(end.reason),
                "startedAt": .string(KubeTime.format(end.startedAt)),
                "finishedAt": .string(KubeTime.format(end.finishedAt)),
                "containerID": .string(end.containerID),
            ]
            if case .signalled(let signal) = end.exit { body["signal"] = .int(Int(signal)) }
            if !end.message.isEmpty { body["message"] = .string(end.message) }
            return ["terminated": body]
        }
    }
}
