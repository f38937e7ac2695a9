import EnvoyConfig
import KubeCore
import MeshDialects
import MeshModel
import Testing

@testable import HeddleServer
@testable import XDSServer

struct MeshFeedTests {
    private func service(_ name: String, _ address: String) -> KubeObject {
        var service = KubeObject(.services, namespace: "shop", name: name)
        service.spec = [
            "clusterIP": .string(address), "selector": ["app": .string(name)],
            "ports": [["name": "http", "port": 80, "targetPort": 8080]],
        ]
        return service
    }

    private func pod(_ name: String, app: String, _ address: String) -> KubeObject {
        var pod = KubeObject(.pods, namespace: "shop", name: name)
        pod.labels = ["app": .init(app), "heddle.dev/injected": "true", "pod-template-hash": "aaa"]
        pod.spec = [
            "serviceAccountName": .string(app),
            "containers": [["name": "app", "ports": [["name": "http", "containerPort": 8080]]]],
        ]
        pod.status = ["podIP": .string(address), "phase": "Running"]
        return pod
    }

    private func objects(weight: Int? = nil) -> MeshObjects {
        var slice = KubeObject(.endpointSlices, namespace: "shop", name: "catalog-1")
        slice.labels = ["kubernetes.io/service-name": "catalog"]
        slice.json["ports"] = [["name": "http", "port": 8080]]
        slice.json["endpoints"] = [
            [
                "addresses": ["10.1.0.2"], "conditions": ["ready": true],
                "targetRef": ["kind": "Pod", "name": "catalog-1"],
            ]
        ]
        var objects = MeshObjects()
        objects.services = [service("catalog", "10.2.0.1"), service("cart", "10.2.0.2")]
        objects.pods = [pod("catalog-1", app: "catalog", "10.1.0.2"), pod("cart-1", app: "cart", "10.1.0.3")]
        objects.endpointSlices = [slice]
        if let weight {
            var route = KubeObject(.virtualServices, namespace: "shop", name: "catalog-heddle")
            func destination(_ subset: String, _ weight: Int) -> JSONValue {
                ["destination": ["host": "catalog", "subset": .string(subset)], "weight": .int(weight)]
            }
            route.spec = [
                "hosts": ["catalog"],
                "http": [["route": [destination("stable", 100 - weight), destination("canary", weight)]]],
            ]
            var rule = KubeObject(.destinationRules, namespace: "shop", name: "catalog-heddle")
            rule.spec = [
                "host": "catalog",
                "subsets": [
                    ["name": "stable", "labels": ["pod-template-hash": "aaa"]],
                    ["name": "canary", "labels": ["pod-template-hash": "bbb"]],
                ],
            ]
            objects.virtualServices = [route]
            objects.destinationRules = [rule]
        }
        return objects
    }

    private static let catalog: Set<String> = ["outbound|80||catalog.shop.svc.cluster.local"]

    private func proxy(_ pod: String) -> ProxyIdentity {
        ProxyIdentity(
            spiffeID: "spiffe://cluster.local/ns/shop/sa/cart", namespace: "shop", serviceAccount: "cart", nodeID: pod,
            podName: pod)
    }

    @Test func `a proxy of a known pod gets the services that it may call`() {
        let feed = MeshFeed()
        #expect(feed.refresh(objects(), settings: MeshSettings()))
        let resources = feed.resources(for: proxy("cart-1"), requested: Self.catalog)
        #expect(resources[.cluster]["outbound|80||catalog.shop.svc.cluster.local"] != nil)
        #expect(resources[.endpoints]["outbound|80||catalog.shop.svc.cluster.local"] != nil)
        #expect(resources[.cluster]["inbound|8080||"] != nil)
        #expect(resources[.route]["80.catalog.shop.svc.cluster.local"] != nil)
        #expect(!resources[.listener].isEmpty)
    }

    @Test func `a proxy has no cluster of a service until it asks; then its workload's other pods have it too`() {
        let feed = MeshFeed()
        var objects = objects(weight: 10)
        var sibling = pod("cart-2", app: "cart", "10.1.0.4")
        sibling.labels["pod-template-hash"] = "ccc"
        objects.pods.append(sibling)
        _ = feed.refresh(objects, settings: MeshSettings())
        func clusters(_ pod: String, asking names: Set<String> = []) -> Set<String> {
            Set(feed.resources(for: proxy(pod), requested: names)[.cluster].keys.filter { $0.hasPrefix("outbound") })
        }
        #expect(clusters("cart-1").isEmpty)
        #expect(clusters("catalog-1", asking: ["outbound|80||cart.shop.svc.cluster.local"]).count == 1)
        #expect(clusters("cart-1").isEmpty)
        let called = clusters("cart-1", asking: ["outbound|80|stable|catalog.shop.svc.cluster.local"])
        #expect(called.count == 3)
        #expect(clusters("cart-2") == called)
        // What exists no more is forgotten, and what it brings along when it comes again is not.
        objects.services.removeAll { $0.name == "catalog" }
        _ = feed.refresh(objects, settings: MeshSettings())
        #expect(clusters("cart-1").isEmpty)
        objects.services.append(service("catalog", "10.2.0.9"))
        _ = feed.refresh(objects, settings: MeshSettings())
        #expect(clusters("cart-2").isEmpty)
        #expect(clusters("cart-1", asking: called) == called)
    }

    @Test func `a route waits for the clusters that it names`() throws {
        let feed = MeshFeed()
        _ = feed.refresh(objects(weight: 10), settings: MeshSettings())
        let route = try #require(
            feed.resources(for: proxy("cart-1"), requested: Self.catalog)[.route]["80.catalog.shop.svc.cluster.local"])
        #expect(route.requires.contains("outbound|80|canary|catalog.shop.svc.cluster.local"))
        #expect(route.requires.contains("outbound|80|stable|catalog.shop.svc.cluster.local"))
    }

    @Test func `a pod that the caches do not know yet gets nothing, until they do`() {
        let feed = MeshFeed()
        #expect(feed.resources(for: proxy("cart-1"), requested: Self.catalog) == ResourceSet())
        _ = feed.refresh(objects(), settings: MeshSettings())
        #expect(feed.resources(for: proxy("cart-2"), requested: Self.catalog) == ResourceSet())
        #expect(feed.resources(for: proxy("cart-1"), requested: Self.catalog) != ResourceSet())
    }

    @Test func `only a change that proxies see counts as one`() {
        let feed = MeshFeed()
        #expect(feed.refresh(objects(weight: 10), settings: MeshSettings()))
        #expect(!feed.refresh(objects(weight: 10), settings: MeshSettings()))
        let before = feed.resources(for: proxy("cart-1"), requested: Self.catalog)
        #expect(feed.refresh(objects(weight: 20), settings: MeshSettings()))
        let after = feed.resources(for: proxy("cart-1"), requested: Self.catalog)
        #expect(before.version(of: .route) != after.version(of: .route))
        #expect(before.version(of: .cluster) == after.version(of: .cluster))
    }

    @Test func `what a proxy refuses leads to the objects that it was made of`() {
        let feed = MeshFeed()
        _ = feed.refresh(objects(weight: 10), settings: MeshSettings())
        let rejection = Rejection(
            type: .route, message: "bad weight", versions: ["80.catalog.shop.svc.cluster.local": "1"])
        #expect(feed.sources(of: rejection, for: proxy("cart-1")).contains("VirtualService shop/catalog-heddle"))
        #expect(feed.sources(of: rejection, for: proxy("nobody")).isEmpty)
    }

    @Test func `what cannot be taken over is known by the object's name`() {
        let feed = MeshFeed()
        var objects = objects(weight: 10)
        objects.virtualServices[0].spec["tcp"] = [["route": []]]
        _ = feed.refresh(objects, settings: MeshSettings())
        #expect(feed.problems["VirtualService shop/catalog-heddle"]?.contains { $0.path == "spec.tcp" } == true)
    }
}
