import KubeCore
import Synchronization
import Testing

@testable import KubeClient

@Suite(.enabled(if: RealCluster.isThere), .timeLimit(.minutes(5)))
struct RealClusterListTests {
    @Test func `pages follow each other, and all are of one moment`() async throws {
        try await RealCluster.using { client, namespace in
            for number in 0..<7 {
                _ = try await client.create(.configMaps, RealCluster.configMap(namespace, "m\(number)", [:]))
            }
            let list = try await client.list(
                .configMaps, namespace: namespace, fields: "metadata.name!=m6", pageSize: 2)
            let names = Set(list.items.map(\.name))
            #expect(names.isSuperset(of: (0..<6).map { "m\($0)" }) && !names.contains("m6"))
            #expect(names.count == list.items.count)
        }
    }

    /// Needs a server that forgets soon (`--etcd-compaction-interval=5s`).
    @Test(.enabled(if: RealCluster.forgetsSoon))
    func `a list whose token expires half-way is whole all the same`() async throws {
        try await RealCluster.using { client, namespace in
            for number in 0..<5 {
                _ = try await client.create(.configMaps, RealCluster.configMap(namespace, "m\(number)", [:]))
            }
            let slow = SlowPages(api: client, namespace: namespace)
            let list = try await slow.list(.configMaps, namespace: namespace, pageSize: 2)
            #expect(Set(list.items.map(\.name)).isSuperset(of: (0..<5).map { "m\($0)" } + ["late"]))
            // A watch can go on from there.
            var events = try await client.watch(
                .watch(.configMaps, namespace: namespace, from: .version(list.resourceVersion))
            ).makeAsyncIterator()
            _ = try await client.create(.configMaps, RealCluster.configMap(namespace, "after", [:]))
            #expect(try await events.next()?.object.name == "after")
            let forEyes = SlowPages(api: client, namespace: namespace)
            let rest = try await forEyes.list(.configMaps, namespace: namespace, pageSize: 2, consistency: .goOn)
            #expect(Set(rest.items.map(\.name)).isSuperset(of: (0..<5).map { "m\($0)" } + ["late", "after"]))
            #expect(Set(rest.items.map(\.name)).count == rest.items.count)
        }
    }

    @Test func `a server streams its lists or says that it does not`() async throws {
        try await withClient(of: try RealCluster.configuration()) { client in
            let request = APIRequest.watch(.namespaces, from: .initialEvents, seconds: 60)
            do {
                var names: Set<String> = []
                for try await event in try await client.watch(request) {
                    if event.endsInitialEvents { break }
                    names.insert(event.object.name)
                }
                #expect(names.contains("default"))
            } catch let error as APIError {
                print("no streaming lists: \(error)")
                #expect(error.refusesInitialEvents)
            }
        }
    }

    @Test func `a newer server streams definitions and marks the end of the list`() async throws {
        try await withClient(of: try RealCluster.configuration(RealCluster.newerKubeconfig)) { client in
            let request = APIRequest.watch(.customResourceDefinitions, from: .initialEvents, seconds: 60)
            do {
                var count = 0
                for try await event in try await client.watch(request) {
                    if event.endsInitialEvents {
                        print("streamed list of \(count), version \(event.object.resourceVersion)")
                        #expect(!event.object.resourceVersion.isEmpty)
                        return
                    }
                    count += 1
                }
                Issue.record("the watch ended without the mark")
            } catch let error as APIError {
                print("no streaming lists on the newer server: \(error)")
                #expect(error.refusesInitialEvents)
            }
        }
    }
}

extension RealCluster {
    static var forgetsSoon: Bool { environment["HEDDLE_TEST_FORGETS_SOON"] == "1" }
}

/// Waits before the second page of its first list until the server has forgotten the first one's state, and changes
/// something meanwhile.
private final class SlowPages: ClusterAPI {
    let api: KubeClient
    let namespace: String
    private let hasWaited = Mutex(false)

    init(api: KubeClient, namespace: String) {
        self.api = api
        self.namespace = namespace
    }

    func perform(_ request: APIRequest) async throws(APIError) -> JSONValue {
        if request.query["continue"] == nil || hasWaited.withLock({ $0 }) { return try await api.perform(request) }
        hasWaited.withLock { $0 = true }
        if try await api.find(.configMaps, namespace: namespace, name: "late") == nil {
            _ = try await api.create(.configMaps, RealCluster.configMap(namespace, "late", [:]))
        }
        for number in 0..<120 {
            do {
                _ = try await api.perform(request)
            } catch {
                print("after \(number) s: \(error.reason); goes on with \(error.continueToken ?? "nothing")")
                throw error
            }
            try? await Task.sleep(for: .seconds(1))
        }
        return try await api.perform(request)
    }

    func watch(_ request: APIRequest) async throws(APIError) -> AsyncThrowingStream<WatchEvent, any Error> {
        try await api.watch(request)
    }
}
