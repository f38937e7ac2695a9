import FoundationEssentials
import KubeCore

/// One delete: its options, and what it does to an object. Pure.
struct Deletion: Sendable {
    enum Outcome: Sendable, Equatable {
        /// The object stays, marked as being deleted.
        case mark(JSONValue)
        case remove
        /// It is already marked, and this delete adds nothing.
        case nothing
    }

    var gracePeriodSeconds: Int?
    var propagation: String?
    var uid: String?
    var resourceVersion: String?

    init(_ request: APIRequest) {
        let body = request.body ?? [:]
        gracePeriodSeconds = request.query["gracePeriodSeconds"].flatMap(Int.init) ?? body["gracePeriodSeconds"]?.int
        propagation = request.query["propagationPolicy"] ?? body["propagationPolicy"]?.string
        uid = body[path: "preconditions", "uid"]?.string
        resourceVersion = body[path: "preconditions", "resourceVersion"]?.string
    }

    func check(_ object: StoredObject, _ type: ResourceType) throws(APIError) {
        if let uid, uid != object.uid {
            throw .conflict(
                type, object.key.name,
                "Precondition failed: UID in precondition: \(uid), UID in object meta: \(object.uid)")
        }
        if let resourceVersion, resourceVersion != String(object.revision) {
            throw .conflict(
                type, object.key.name,
                "Precondition failed: ResourceVersion in precondition: \(resourceVersion), ResourceVersion in object meta:"
                    + " \(object.revision)")
        }
        if type.collection == "namespaces", ["default", "kube-system", "kube-public"].contains(object.key.name) {
            throw .forbidden("namespaces \"\(object.key.name)\" is forbidden: this namespace may not be deleted")
        }
    }

    func outcome(for object: JSONValue, _ type: ResourceType, now: Date) -> Outcome {
        let metadata = object["metadata"] ?? [:]
        var finalizers = (metadata["finalizers"]?.array ?? []).compactMap(\.string)
        let isMarked = metadata["deletionTimestamp"]?.string != nil
        if propagation == "Orphan", !finalizers.contains("orphan") { finalizers.append("orphan") }
        if propagation == "Foreground", !finalizers.contains("foregroundDeletion") {
            finalizers.append("foregroundDeletion")
        }
        let grace = type.collection == "pods" ? podGrace(object) : 0
        let hasOwnFinalizers =
            type.collection == "namespaces" && !(object[path: "spec", "finalizers"]?.array ?? []).isEmpty
        if grace == 0, finalizers.isEmpty, !hasOwnFinalizers { return .remove }

        let before = metadata["deletionGracePeriodSeconds"]?.int
        let isShorter = before.map { grace < $0 } ?? true
        let isSameWait = isMarked && !isShorter
        if isSameWait, finalizers.count == (metadata["finalizers"]?.array ?? []).count { return .nothing }
        var marked = object
        marked.change("metadata") { metadata in
            metadata["finalizers"] = finalizers.isEmpty ? .none : JSONValue(finalizers)
            guard !isSameWait else { return }
            metadata["deletionTimestamp"] = .string(KubeTime.format(now.addingTimeInterval(Double(grace))))
            metadata["deletionGracePeriodSeconds"] = .int(grace)
            if type.hasGeneration, !isMarked { metadata["generation"] = .int((metadata["generation"]?.int ?? 0) + 1) }
        }
        if type.collection == "namespaces" { marked[path: "status", "phase"] = "Terminating" }
        return marked == object ? .nothing : .mark(marked)
    }

    /// An object with no time left.
    func mark(_ object: JSONValue, now: Date) -> JSONValue {
        var marked = object
        marked.change("metadata") { metadata in
            metadata["deletionTimestamp"] = .string(KubeTime.format(now))
            metadata["deletionGracePeriodSeconds"] = 0
        }
        return marked
    }

    /// Seconds that the node gets to stop a pod. One that never ran, or is over, needs none.
    private func podGrace(_ pod: JSONValue) -> Int {
        if (pod[path: "spec", "nodeName"]?.string ?? "").isEmpty { return 0 }
        if ["Succeeded", "Failed"].contains(pod[path: "status", "phase"]?.string) { return 0 }
        return max(0, gracePeriodSeconds ?? pod[path: "spec", "terminationGracePeriodSeconds"]?.int ?? 30)
    }
}
