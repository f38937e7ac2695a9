import AsyncHTTPClient
import Foundation
import KubeClient
import KubeCore
import KubeTesting
import NIOHTTP1
import Testing

/// The custom resources of the suite, and the servers that serve them.
///
/// A cluster serves its own. Beside it there may be a second, newer server for custom resources alone
/// (`HEDDLE_CONFORMANCE_CRD_KUBECONFIG`), so that rules of today are tried where the cluster is old.
struct Definitions: Sendable {
    /// Where custom resources are tested.
    enum Home: String, Sendable, CaseIterable, CustomTestStringConvertible {
        case cluster = "the cluster"
        case separate = "the separate server"

        static var all: [Home] {
            let path = ProcessInfo.processInfo.environment["HEDDLE_CONFORMANCE_CRD_KUBECONFIG"] ?? ""
            return path.isEmpty ? [.cluster] : [.cluster, .separate]
        }
        var testDescription: String { rawValue }
    }

    let group: String
    let clients: [Home: KubeClient]
    /// Doors for requests that go past `KubeClient`.
    let doors: [Home: RawHTTP]
    /// Minor version of the separate server.
    let separateMinor: Int

    var widgets: GroupVersionResource { GroupVersionResource(group: group, resource: "widgets", kind: "Widget") }
    var plain: GroupVersionResource { GroupVersionResource(group: group, resource: "plains", kind: "Plain") }

    static func make(run: String, client: KubeClient, http: RawHTTP) async throws -> Definitions {
        let path = ProcessInfo.processInfo.environment["HEDDLE_CONFORMANCE_CRD_KUBECONFIG"] ?? ""
        var clients = [Home.cluster: client]
        var doors = [Home.cluster: http]
        var minor = 0
        if !path.isEmpty {
            let configuration = try ClientConfiguration.load(kubeconfig: path, environment: [:])
            clients[.separate] = try Cluster.client(configuration)
            let door = try RawHTTP(
                server: configuration.server, authority: Cluster.authority(configuration), token: http.token)
            doors[.separate] = door
            minor = Cluster.minor(of: try await door(.GET, "/version").json)
        }
        let definitions = Definitions(
            group: "r\(run).heddle.dev", clients: clients, doors: doors, separateMinor: minor)
        for client in clients.values {
            try await definitions.install(Widget.definition(group: definitions.group), with: client)
            try await definitions.install(Plain.definition(group: definitions.group), with: client)
        }
        return definitions
    }

    /// Makes a definition and waits until its objects are served.
    func install(_ definition: KubeObject, with client: KubeClient) async throws {
        let created = try await client.create(.customResourceDefinitions, definition)
        let names = created.spec["names"]
        for version in created.spec["versions"]?.array ?? [] where version["served"] == true {
            let resource = GroupVersionResource(
                group: created.spec["group"]?.string ?? "", version: version["name"]?.string ?? "",
                resource: names?["plural"]?.string ?? "", kind: names?["kind"]?.string ?? "",
                isNamespaced: created.spec["scope"] == "Namespaced")
            let isServed = await eventually(within: .seconds(60)) {
                (try? await client.perform(APIRequest(.list, resource))) != nil
            }
            guard isServed else {
                throw APIError(code: 0, reason: "NotServed", message: "\(resource) is not served in time")
            }
        }
    }

    func remove() async throws {
        for client in clients.values {
            for resource in [widgets, plain] {
                try await client.delete(.customResourceDefinitions, name: "\(resource.resource).\(group)")
            }
        }
        await clients[.separate]?.shutdown()
        try await doors[.separate]?.client.shutdown()
    }
}
