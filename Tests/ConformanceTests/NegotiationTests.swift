import KubeClient
import KubeCore
import KubeTesting
import NIOHTTP1
import Testing

extension Conformance {
    @Suite struct Negotiation {
        let cluster = Cluster.current
        private let table = "application/json;as=Table;v=v1;g=meta.k8s.io"
        private let partial = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
        private let partialList = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"

        @Test func `objects and lists are shown as tables on request`() async throws {
            try await cluster.withNamespace { ns in
                try await ns.create(.deployments, Objects.deployment())
                let path = "/apis/apps/v1/namespaces/\(ns.name)/deployments"
                for path in [path, path + "/web"] {
                    let found = try await cluster.http(.GET, path, accept: table).json
                    #expect(found["kind"] == "Table" && found["apiVersion"] == "meta.k8s.io/v1")
                    let columns = found["columnDefinitions"]?.array?.compactMap { $0["name"]?.string } ?? []
                    #expect(columns.prefix(5) == ["Name", "Ready", "Up-to-date", "Available", "Age"])
                    let row = found["rows"]?[0]
                    #expect(row?["cells"]?[0] == "web" && row?["cells"]?[1] == "0/0")
                    // Rows carry metadata unless told otherwise.
                    #expect(row?[path: "object", "kind"] == "PartialObjectMetadata")
                    #expect(row?[path: "object", "metadata", "name"] == "web")
                }
                let bare = try await cluster.http(.GET, path + "?includeObject=None", accept: table).json
                #expect(bare["rows"]?[0]?["object"]?.isNull ?? true)
                let full = try await cluster.http(.GET, path + "?includeObject=Object", accept: table).json
                #expect(full["rows"]?[0]?[path: "object", "spec", "replicas"] == 0)
            }
        }

        @Test func `metadata alone is given on request, also by a watch`() async throws {
            try await cluster.withNamespace { ns in
                let object = try await ns.configMap("a", ["k": "v"], labels: ["l": "x"])
                let path = "/api/v1/namespaces/\(ns.name)/configmaps"
                let one = try await cluster.http(.GET, path + "/a", accept: partial).json
                #expect(one["kind"] == "PartialObjectMetadata" && one["data"] == nil)
                #expect(one[path: "metadata", "labels"] == ["l": "x"])
                let list = try await cluster.http(.GET, path + "?labelSelector=l", accept: partialList).json
                #expect(list["kind"] == "PartialObjectMetadataList" && list["items"]?.array?.count == 1)
                #expect(list["items"]?[0]?["data"] == nil)
                let watch = try await cluster.http(
                    .GET, path + "?watch=1&timeoutSeconds=1&labelSelector=l&resourceVersion=0", accept: partial)
                let event = try JSONValue.parse(String(watch.text.prefix { $0 != "\n" }))
                #expect(event["type"] == "ADDED" && event[path: "object", "kind"] == "PartialObjectMetadata")
                #expect(event[path: "object", "metadata", "uid"]?.string == object.uid)
            }
        }

        @Test func `the first form that the server has is taken`() async throws {
            try await cluster.withNamespace { ns in
                let path = "/api/v1/namespaces/\(ns.name)/configmaps"
                let answer = try await cluster.http(
                    .GET, path, accept: "application/nonsense, application/json;as=Table;v=v9;g=none, \(table)")
                #expect(answer.json["kind"] == "Table")
                #expect(try await cluster.http(.GET, path, accept: "*/*").json["kind"] == "ConfigMapList")
                let none = try await cluster.http(.GET, path, accept: "application/nonsense")
                #expect(none.code == 406)
            }
        }
    }

    @Suite struct Discovery {
        let cluster = Cluster.current

        @Test func `the server names its version and that it is well`() async throws {
            let version = try await cluster.http(.GET, "/version").json
            #expect(version["major"] == "1" && version["gitVersion"]?.string?.hasPrefix("v1.") == true)
            for path in ["/healthz", "/livez", "/readyz"] {
                let answer = try await cluster.http(.GET, path, token: "")
                #expect(answer.code == 200 && answer.text == "ok", "\(path)")
            }
        }

        @Test func `groups, versions and resources are listed`() async throws {
            #expect(try await cluster.http(.GET, "/api").json["versions"] == ["v1"])
            let groups = try await cluster.http(.GET, "/apis").json
            #expect(groups["kind"] == "APIGroupList")
            let apps = groups["groups"]?.array?.first { $0["name"] == "apps" }
            #expect(apps?[path: "preferredVersion", "groupVersion"] == "apps/v1")
            #expect(try await cluster.http(.GET, "/apis/apps").json["kind"] == "APIGroup")
            let core = try await cluster.http(.GET, "/api/v1").json
            func entry(_ list: JSONValue, _ name: String) -> JSONValue? {
                list["resources"]?.array?.first { $0["name"]?.string == name }
            }
            #expect(core["kind"] == "APIResourceList" && core["groupVersion"] == "v1")
            let pods = entry(core, "pods")
            #expect(pods?["kind"] == "Pod" && pods?["namespaced"] == true && pods?["shortNames"] == ["po"])
            #expect(
                Set(pods?["verbs"]?.array?.compactMap(\.string) ?? [])
                    == ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"])
            #expect(pods?["categories"] == ["all"])
            #expect(entry(core, "pods/eviction")?["group"] == "policy")
            #expect(entry(core, "pods/status")?["verbs"] == ["get", "patch", "update"])
            #expect(entry(core, "serviceaccounts/token")?["kind"] == "TokenRequest")
            #expect(entry(core, "namespaces")?["namespaced"] == false)
            let deployments = try await cluster.http(.GET, "/apis/apps/v1").json
            let scale = entry(deployments, "deployments/scale")
            #expect(scale?["kind"] == "Scale" && scale?["group"] == "autoscaling" && scale?["version"] == "v1")
        }

        @Test func `custom resources are discovered with their names`() async throws {
            let group = cluster.definitions.group
            let isThere = try await eventually(within: .seconds(30)) {
                let list = try await cluster.http(.GET, "/apis/\(group)/v1").json
                let widget = list["resources"]?.array?.first { $0["name"] == "widgets" }
                return widget?["kind"] == "Widget" && widget?["shortNames"] == ["widgetx"]
                    && widget?["categories"] == ["conformance"] && widget?["singularName"] == "widget"
                    && list["resources"]?.array?.contains { $0["name"] == "widgets/scale" } == true
            }
            #expect(isThere)
        }

        @Test func `all is discovered in one answer where that is served`() async throws {
            guard cluster.serves(.aggregatedDiscovery) else { return }
            let answer = try await cluster.http(
                .GET, "/apis", accept: "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList")
            #expect(answer.json["kind"] == "APIGroupDiscoveryList")
            let apps = answer.json["items"]?.array?.first { $0[path: "metadata", "name"] == "apps" }
            let deployments = apps?["versions"]?[0]?["resources"]?.array?.first { $0["resource"] == "deployments" }
            #expect(deployments?[path: "responseKind", "kind"] == "Deployment" && deployments?["scope"] == "Namespaced")
            let parts = Set(deployments?["subresources"]?.array?.compactMap { $0["subresource"]?.string } ?? [])
            #expect(parts == ["scale", "status"])
        }
    }
}
