import Testing

/// One suite for two servers: the same tests run against the sandbox's API server (as in `make test`) and, with
/// `HEDDLE_CONFORMANCE_KUBECONFIG` (as `make conformance` sets it), against a real one. Where the two differ, the sandbox is
/// wrong.
///
/// A test for something that the server does not serve says so (`Cluster.serves`) and leaves out that part, nothing else. The
/// suite ends with a line that counts tests and lists what was left out.
@Suite(.cluster) struct Conformance {}

/// Runs the suite's tests with a cluster at hand: starts the sandbox, or connects to the real server, once for all of them.
struct ClusterTrait: SuiteTrait, TestScoping {
    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable @concurrent () async throws -> Void
    )
        async throws
    {
        try await Cluster.withCluster { cluster in
            try await Cluster.$shared.withValue(cluster) { try await function() }
        }
    }
}

extension Trait where Self == ClusterTrait {
    static var cluster: ClusterTrait { ClusterTrait() }
}
