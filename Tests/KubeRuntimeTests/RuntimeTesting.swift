import KubeCore
import KubeRuntime
import KubeTesting
import Logging
import Synchronization

let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// Counts and remembers from many tasks.
final class Recorded<Value: Sendable>: Sendable {
    private let values = Mutex<[Value]>([])
    var all: [Value] { values.withLock { $0 } }
    var count: Int { all.count }
    func append(_ value: Value) { values.withLock { $0.append(value) } }
}

struct Failure: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}

struct ClosureReconciler: Reconciler {
    var body: @Sendable (ObjectKey) async throws -> ReconcileResult
    func reconcile(_ key: ObjectKey) async throws -> ReconcileResult { try await body(key) }
}

func pod(_ name: String, namespace: String = "shop", labels: [String: String] = [:]) -> KubeObject {
    var object = KubeObject(.pods, namespace: namespace, name: name)
    object.labels = labels
    return object
}

/// Runs something beside a test and cancels it at the end.
func alongside<Result: Sendable>(
    _ background: @escaping @Sendable () async -> Void, during body: () async throws -> Result
) async throws -> Result {
    let task = Task { await background() }
    defer { task.cancel() }
    return try await body()
}
