import KubeCore
import NIOHTTP1
import Testing

@testable import KubeClient

@Suite(.timeLimit(.minutes(1)))
struct DiscoveryTests {
    static let aggregatedCore = #"""
        {"kind":"APIGroupDiscoveryList","apiVersion":"apidiscovery.k8s.io/v2","items":[{"metadata":{},"versions":[
         {"version":"v1","freshness":"Current","resources":[
          {"resource":"pods","responseKind":{"group":"","version":"v1","kind":"Pod"},"scope":"Namespaced",
           "singularResource":"pod","verbs":["get","list"],"shortNames":["po"],"categories":["all"],
           "subresources":[{"subresource":"log","verbs":["get"]},{"subresource":"status","verbs":["get"]}]}]}]}]}
        """#
    static let aggregatedGroups = #"""
        {"kind":"APIGroupDiscoveryList","apiVersion":"apidiscovery.k8s.io/v2","items":[
         {"metadata":{"name":"apps"},"versions":[{"version":"v1","freshness":"Current","resources":[
          {"resource":"deployments","responseKind":{"group":"apps","version":"v1","kind":"Deployment"},
           "scope":"Namespaced","singularResource":"deployment","verbs":["get"],"shortNames":["deploy"]}]}]},
         {"metadata":{"name":"metrics.k8s.io"},"versions":[{"version":"v1beta1","freshness":"Stale"}]}]}
        """#

    /// A server of before 1.26, whose group `metrics.k8s.io` is down.
    static func legacy(_ request: SeenRequest) -> Answer {
        switch request.uri {
        case "/api": .ok(#"{"kind":"APIVersions","versions":["v1"]}"#)
        case "/apis":
            .ok(
                #"""
                {"kind":"APIGroupList","groups":[
                 {"name":"apps","versions":[{"groupVersion":"apps/v1beta1","version":"v1beta1"},
                  {"groupVersion":"apps/v1","version":"v1"}],"preferredVersion":{"version":"v1"}},
                 {"name":"metrics.k8s.io","versions":[{"groupVersion":"metrics.k8s.io/v1beta1","version":"v1beta1"}]}]}
                """#)
        case "/api/v1":
            .ok(
                #"""
                {"kind":"APIResourceList","groupVersion":"v1","resources":[
                 {"name":"pods","singularName":"","namespaced":true,"kind":"Pod","verbs":["get","list"],
                  "shortNames":["po"],"categories":["all"]},
                 {"name":"pods/log","singularName":"","namespaced":true,"kind":"Pod","verbs":["get"]},
                 {"name":"pods/status","singularName":"","namespaced":true,"kind":"Pod","verbs":["get"]}]}
                """#)
        case "/apis/apps/v1", "/apis/apps/v1beta1":
            .ok(
                #"""
                {"kind":"APIResourceList","resources":[{"name":"deployments","singularName":"deployment",
                 "namespaced":true,"kind":"Deployment","verbs":["get"],"shortNames":["deploy"]}]}
                """#)
        default: .status(503, "ServiceUnavailable")
        }
    }

    @Test func `two requests are enough where discovery is aggregated`() async throws {
        try await withClient { request, _ in
            .ok(request.uri == "/api" ? Self.aggregatedCore : Self.aggregatedGroups)
        } during: { client, server in
            let catalog = try await client.discover()
            #expect(server.seen.map(\.uri) == ["/api", "/apis"])
            let accept = try #require(server.seen.first?.headers["accept"].first)
            #expect(accept.hasPrefix("application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"))
            #expect(catalog.resources.map(\.resource.description) == ["pods", "deployments.apps"])
            #expect(catalog.resources.first?.subresources == ["log", "status"])
            #expect(catalog.serves(.pods) && catalog.serves(.deployments) && !catalog.serves(.services))
            #expect(catalog.failures.keys.sorted() == ["metrics.k8s.io/v1beta1"])
        }
    }

    @Test(arguments: [false, true])
    func `an older server is asked group by group, and one that is down hides no other`(_ refusesAccept: Bool)
        async throws
    {
        try await withClient { request, _ in
            let isPlain = request.headers["accept"] == ["application/json"]
            return refusesAccept && !isPlain ? .status(406, "NotAcceptable") : Self.legacy(request)
        } during: { client, _ in
            let catalog = try await client.discover()
            #expect(
                catalog.resources.map { "\($0.resource.apiVersion) \($0.resource.resource)" } == [
                    "v1 pods", "apps/v1 deployments", "apps/v1beta1 deployments",
                ], "the preferred version comes first")
            #expect(catalog.resources.first?.subresources == ["log", "status"])
            #expect(catalog.failures.keys.sorted() == ["metrics.k8s.io/v1beta1"])
        }
    }

    @Test(arguments: [
        ("po", "v1"), ("Pod", "v1"), ("pods", "v1"), ("pods.v1", "v1"), ("deploy", "apps/v1"),
        ("deployment.apps", "apps/v1"), ("deployments.v1beta1.apps", "apps/v1beta1"), ("deploy.v1.apps", "apps/v1"),
    ])
    func `a person's word is understood as kubectl does`(_ word: String, _ version: String) async throws {
        try await withClient { request, _ in
            Self.legacy(request)
        } during: { client, _ in
            let catalog = try await client.discover()
            #expect(catalog.find(word).first?.resource.apiVersion == version)
            #expect(catalog.find("deployments.batch").isEmpty && catalog.find("").isEmpty)
        }
    }

    @Test func `the server's version is read, a provider's plus sign too`() async throws {
        try await withClient { _, _ in
            .ok(#"{"major":"1","minor":"31+","gitVersion":"v1.31.2-eks"}"#)
        } during: { client, server in
            let version = try await client.serverVersion()
            #expect(version.major == 1 && version.minor == 31 && "\(version)" == "v1.31.2-eks")
            #expect(server.seen.first?.line == "GET /version")
        }
    }
}
