package import KubeCore

/// The cluster's API for work that only the leader may do: writes pass while the lead is proven, and not a moment longer.
///
/// - A write is refused (`NotLeading`, nothing was sent) when this replica does not lead, or when its last renewal is as
///   old as `renewDeadline`, by its own monotonic clock and counted from before the renewal was sent. It asks the clock
///   itself, not a flag: a process that was stopped and goes on is refused before anything has told it.
/// - A write that is under way at that moment is called back: the request is cancelled and fails with `NotLeading`. It may
///   have been done.
/// - Reads and watches pass always.
///
/// What is left: a write whose bytes the network holds back for longer than `duration - renewDeadline` (5 s) lands after
/// another replica has begun. The API server knows no fencing token; what such a write could do is bounded by the resource
/// version that status and finalizer writes carry, and by server-side apply being the same from any replica that sees the
/// same state.
package struct FencedAPI: ClusterAPI {
    private let api: any ClusterAPI
    private let clock: AnyClock
    private let deadline: @Sendable () -> AnyClock.Instant?
    private let metrics: LeaderMetrics?

    package init(_ api: any ClusterAPI, leadership: LeaderElection) {
        self.init(
            api, clock: leadership.clock, metrics: leadership.metrics, deadline: { [leadership] in leadership.deadline }
        )
    }

    /// - Parameter deadline: until when the lead is certain; nil when it is not ours.
    init(
        _ api: any ClusterAPI, clock: AnyClock, metrics: LeaderMetrics? = nil,
        deadline: @escaping @Sendable () -> AnyClock.Instant?
    ) {
        self.api = api
        self.clock = clock
        self.metrics = metrics
        self.deadline = deadline
    }

    package func watch(_ request: APIRequest) async throws(APIError) -> AsyncThrowingStream<WatchEvent, any Error> {
        try await api.watch(request)
    }

    package func perform(_ request: APIRequest) async throws(APIError) -> JSONValue {
        guard request.verb.writes else { return try await api.perform(request) }
        guard isProven else {
            var error = refusal(of: request)
            error.isUnprocessed = true
            throw error
        }
        typealias Answer = Result<JSONValue, APIError>
        let outcome = await withTaskGroup(of: Answer?.self, returning: Answer.self) { group in
            group.addTask { [api] in
                await Result { () async throws(APIError) in try await api.perform(request) }
            }
            group.addTask {
                // A renewal moves the deadline on.
                while !Task.isCancelled, let end = deadline(), clock.now < end { try? await clock.sleep(until: end) }
                return nil
            }
            var answer: Answer?
            var isLate = false
            for await result in group {
                if let result { answer = result } else { isLate = isLate || answer == nil }
                group.cancelAll()
            }
            // What was done before the request could be called back is reported as done: the caller's next write is refused.
            if isLate, !Task.isCancelled, case .failure? = answer { return .failure(refusal(of: request)) }
            return answer ?? .failure(refusal(of: request))
        }
        return try outcome.get()
    }

    private var isProven: Bool { deadline().map { clock.now < $0 } ?? false }

    private func refusal(of request: APIRequest) -> APIError {
        metrics?.refusedWrite()
        return APIError(
            code: 0, reason: "NotLeading",
            message: "\(request.verb.rbacName) \(request.path): this replica may not lead any more; another one goes on"
        )
    }
}

extension APIError {
    /// A write was refused or called back because this replica does not lead for certain.
    package var isNotLeading: Bool { reason == "NotLeading" }
}

extension APIRequest.Verb {
    var writes: Bool {
        switch self {
        case .get, .list, .watch: false
        case .create, .update, .patch, .delete, .deleteCollection: true
        }
    }
}

extension Result where Failure == APIError {
    init(_ body: () async throws(APIError) -> Success) async {
        do throws(APIError) { self = .success(try await body()) } catch { self = .failure(error) }
    }
}
