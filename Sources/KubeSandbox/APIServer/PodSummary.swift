import FoundationEssentials
import KubeCore

/// What `kubectl get pods` says of a pod.
struct PodSummary {
    private let pod: JSONValue
    private let containers: [JSONValue]
    private let initContainers: [JSONValue]

    init(_ pod: JSONValue) {
        self.pod = pod
        containers = pod[path: "status", "containerStatuses"]?.array ?? []
        initContainers = pod[path: "status", "initContainerStatuses"]?.array ?? []
    }

    /// Names of init containers that run beside the others.
    private var sidecars: Set<String> {
        Set(
            (pod[path: "spec", "initContainers"]?.array ?? []).filter { $0["restartPolicy"] == "Always" }
                .compactMap { $0["name"]?.string })
    }

    var ready: String {
        let sidecars = self.sidecars
        let counted = containers + initContainers.filter { sidecars.contains($0["name"]?.string ?? "") }
        let total = (pod[path: "spec", "containers"]?.array?.count ?? 0) + sidecars.count
        return "\(counted.filter { $0["ready"] == true }.count)/\(total)"
    }

    var status: String {
        let phase = pod[path: "status", "reason"]?.string ?? pod[path: "status", "phase"]?.string ?? "Unknown"
        if pod[path: "metadata", "deletionTimestamp"]?.string != nil { return "Terminating" }
        if let waiting = initStatus { return waiting }
        for status in containers.reversed() {
            if let reason = status[path: "state", "waiting", "reason"]?.string, !reason.isEmpty { return reason }
            if let ended = status[path: "state", "terminated"] {
                if let reason = ended["reason"]?.string, !reason.isEmpty { return reason }
                return "ExitCode:\(ended["exitCode"]?.int ?? 0)"
            }
        }
        return phase
    }

    private var initStatus: String? {
        let sidecars = self.sidecars
        let total = pod[path: "spec", "initContainers"]?.array?.count ?? 0
        for (index, status) in initContainers.enumerated() {
            if sidecars.contains(status["name"]?.string ?? ""), status["started"] == true { continue }
            if let ended = status[path: "state", "terminated"] {
                if ended["exitCode"]?.int ?? 0 == 0 { continue }
                return "Init:" + (ended["reason"]?.string ?? "ExitCode:\(ended["exitCode"]?.int ?? 0)")
            }
            if let reason = status[path: "state", "waiting", "reason"]?.string, !reason.isEmpty,
                reason != "PodInitializing"
            {
                return "Init:" + reason
            }
            return "Init:\(index)/\(total)"
        }
        return nil
    }

    func restarts(_ now: Date) -> String {
        let sidecars = self.sidecars
        let counted = containers + initContainers.filter { sidecars.contains($0["name"]?.string ?? "") }
        let sum = counted.reduce(0) { $0 + ($1["restartCount"]?.int ?? 0) }
        let last = counted.compactMap { $0[path: "lastState", "terminated", "finishedAt"]?.string }.max()
        guard sum > 0, let last else { return String(sum) }
        return "\(sum) (\(PrinterTable.age(last, now)) ago)"
    }
}
