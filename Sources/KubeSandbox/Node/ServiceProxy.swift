import KubeCore
import Logging

/// Keeps the node's service rules as Services and EndpointSlices are, 20 ms after a change at the latest.
struct ServiceProxy: Sendable {
    let cache: ClusterCache
    let processes: ChildProcesses
    let logger: Logger

    func run() async {
        let bell = Doorbell()
        let changes = cache.changes(of: [.services, .endpointSlices])
        await withDiscardingTaskGroup { group in
            group.addTask {
                for await _ in changes { bell.ring() }
                bell.finish()
            }
            await cache.synced([.services, .endpointSlices])
            var applied = ""
            for await _ in bell.rings {
                try? await Task.sleep(for: .milliseconds(20))
                let script = ServiceRules(services: cache.list(.services), slices: cache.list(.endpointSlices)).script
                guard script != applied else { continue }
                do {
                    try await processes.require(["nft", "-f", "-"], input: script)
                    applied = script
                } catch {
                    logger.error("service rules were refused", metadata: ["error": "\(error)"])
                    try? await Task.sleep(for: .milliseconds(500))
                    bell.ring()
                }
            }
            group.cancelAll()
        }
    }
}
