import KubeCore
import KubeTesting
import Synchronization

/// What befalls the operator at one of its writes.
enum Mishap: String, Sendable, CaseIterable {
    /// The write is done, and the process ends before it hears of it.
    case dies
    /// The write is done, the answer is lost, and the process lives.
    case losesAnswer
    /// The write is not done, and the process lives.
    case isRefused
}

/// One operator's way to the API server: counts its writes, and lets a mishap happen at one of them. A dead process reaches
/// nothing any more.
final class MortalAPI: ClusterAPI {
    private struct State {
        var writes = 0
        var isDead = false
    }

    private let cluster: InMemoryCluster
    private let mishap: Mishap?
    private let fatalWrite: Int
    private let state = Mutex(State())
    private let onWrite: @Sendable () -> Void

    /// - Parameters:
    ///   - fatalWrite: at which write of this process the mishap comes, from 1.
    ///   - onWrite: after each write that was done, before its answer.
    init(
        _ cluster: InMemoryCluster, _ mishap: Mishap?, atWrite fatalWrite: Int, onWrite: @escaping @Sendable () -> Void
    ) {
        self.cluster = cluster
        self.mishap = mishap
        self.fatalWrite = fatalWrite
        self.onWrite = onWrite
    }

    var isDead: Bool { state.withLock(\.isDead) }
    var writes: Int { state.withLock(\.writes) }

    func perform(_ request: APIRequest) async throws(APIError) -> JSONValue {
        let lost = APIError(code: 0, reason: "Unknown", message: "connection reset")
        let isWrite = Self.isWrite(request)
        let (isDead, number) = state.withLock { state in
            if isWrite, !state.isDead { state.writes += 1 }
            return (state.isDead, state.writes)
        }
        if isDead { throw lost }
        guard isWrite else { return try await cluster.perform(request) }
        let fate = number == fatalWrite ? mishap : nil
        if fate == .isRefused { throw APIError(code: 500, reason: "InternalError", message: "etcd: request timed out") }
        let result: Result<JSONValue, APIError>
        do throws(APIError) { result = .success(try await cluster.perform(request)) } catch { result = .failure(error) }
        onWrite()
        switch fate {
        case .dies:
            state.withLock { $0.isDead = true }
            throw lost
        case .losesAnswer: throw lost
        case .isRefused, nil: return try result.get()
        }
    }

    func watch(_ request: APIRequest) async throws(APIError) -> AsyncThrowingStream<WatchEvent, any Error> {
        try await cluster.watch(request)
    }

    private static func isWrite(_ request: APIRequest) -> Bool {
        switch request.verb {
        case .get, .list, .watch: false
        default: true
        }
    }
}
