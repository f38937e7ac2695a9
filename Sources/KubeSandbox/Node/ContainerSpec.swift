import KubeCore

/// A container as the node runs it.
struct ContainerSpec: Sendable {
    enum Role: Sendable, Equatable { case initial, sidecar, application }

    let role: Role
    let json: JSONValue
    let pod: KubeObject

    var name: String { json["name"]?.string ?? "" }
    var image: String { json["image"]?.string ?? "" }
    var command: [String] { json["command"]?.array?.compactMap(\.string) ?? [] }
    var arguments: [String] { json["args"]?.array?.compactMap(\.string) ?? [] }
    var workingDirectory: String { json["workingDir"]?.string.flatMap { $0.isEmpty ? nil : $0 } ?? "/" }
    var userID: Int {
        (json[path: "securityContext", "runAsUser"] ?? pod.spec[path: "securityContext", "runAsUser"])?.int ?? 0
    }
    var groupID: Int {
        (json[path: "securityContext", "runAsGroup"] ?? pod.spec[path: "securityContext", "runAsGroup"])?.int ?? userID
    }
    var mounts: [VolumeMount] { (json["volumeMounts"]?.array ?? []).map(VolumeMount.init) }

    func probe(_ kind: ProbeKind) -> Probe? { json[kind.rawValue].map { Probe($0, container: self) } }
    func hook(_ name: String) -> JSONValue? { json[path: "lifecycle", name] }

    /// The number of a port that a probe or hook names.
    func port(_ value: JSONValue?) -> Int? {
        if let number = value?.int { return number }
        guard let name = value?.string else { return nil }
        return Int(name) ?? json["ports"]?.array?.first { $0["name"]?.string == name }?["containerPort"]?.int
    }

    /// Whether an ended container runs again.
    func restarts(after exit: ProcessExit) -> Bool {
        if role == .sidecar { return true }
        return switch pod.spec["restartPolicy"]?.string ?? "Always" {
        case "Never": false
        case "OnFailure": exit.code != 0
        default: role == .application || exit.code != 0
        }
    }

    /// The pod's containers: initial ones and sidecars in their order, then the applications.
    static func all(of pod: KubeObject) -> (initial: [ContainerSpec], applications: [ContainerSpec]) {
        let initial = (pod.spec["initContainers"]?.array ?? []).map { json in
            ContainerSpec(role: json["restartPolicy"]?.string == "Always" ? .sidecar : .initial, json: json, pod: pod)
        }
        let applications = (pod.spec["containers"]?.array ?? []).map {
            ContainerSpec(role: .application, json: $0, pod: pod)
        }
        return (initial, applications)
    }
}

struct VolumeMount: Sendable {
    var volume: String
    var path: String
    var subPath: String?
    var isReadOnly: Bool

    init(_ json: JSONValue) {
        volume = json["name"]?.string ?? ""
        path = json["mountPath"]?.string ?? ""
        subPath = json["subPath"]?.string.flatMap { $0.isEmpty ? nil : $0 }
        isReadOnly = json["readOnly"]?.bool ?? false
    }
}

enum ProbeKind: String, Sendable, CaseIterable {
    case startup = "startupProbe"
    case liveness = "livenessProbe"
    case readiness = "readinessProbe"

    /// As events call it.
    var title: String {
        switch self {
        case .startup: "Startup"
        case .liveness: "Liveness"
        case .readiness: "Readiness"
        }
    }
}

/// A probe with Kubernetes' defaults.
struct Probe: Sendable {
    let json: JSONValue
    let container: ContainerSpec

    init(_ json: JSONValue, container: ContainerSpec) {
        self.json = json
        self.container = container
    }

    private func seconds(_ field: String, _ fallback: Int) -> Int {
        let value = json[field]?.int ?? fallback
        return value == 0 && field != "initialDelaySeconds" ? fallback : value
    }
    var initialDelay: Duration { .seconds(seconds("initialDelaySeconds", 0)) }
    var period: Duration { .seconds(seconds("periodSeconds", 10)) }
    var timeout: Duration { .seconds(seconds("timeoutSeconds", 1)) }
    var failureThreshold: Int { seconds("failureThreshold", 3) }
    var successThreshold: Int { seconds("successThreshold", 1) }
}
