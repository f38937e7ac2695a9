import KubeCore
import MeshModel
import Testing

@testable import MeshDialects

@Suite struct IstioDialectTests {
    let catalog = ServiceID(namespace: "shop", name: "catalog")

    private func object(_ resource: GroupVersionResource, _ spec: JSONValue) -> KubeObject {
        var object = KubeObject(resource, namespace: "shop", name: "catalog")
        object.spec = spec
        return object
    }

    @Test func aRouteSurvivesBeingWrittenAndReadBack() {
        let route = TrafficRoute(
            source: "VirtualService shop/catalog", namespace: "shop", services: [catalog],
            rules: [
                RouteRule(
                    name: "get",
                    matches: [RequestMatch(uri: .prefix("/a"), method: .exact("GET"), headers: ["x-user": .present])],
                    destinations: [
                        WeightedDestination(destination: Destination(service: catalog, subset: "stable"), weight: 95),
                        WeightedDestination(destination: Destination(service: catalog, subset: "canary"), weight: 5),
                    ],
                    timeoutSeconds: 3,
                    retries: RetryPolicy(attempts: 2, perTryTimeoutSeconds: 0.25, retryOn: ["5xx", "reset"]),
                    mirrors: [Mirror(destination: Destination(service: catalog, subset: "canary"), percent: 10)])
            ])
        let reading = IstioVirtualService.read(object(.virtualServices, IstioVirtualService.spec(route)))
        #expect(reading.problems.isEmpty)
        #expect(reading.value == route)
    }

    @Test func aPolicySurvivesBeingWrittenAndReadBack() {
        let policy = DestinationPolicy(
            source: "DestinationRule shop/catalog", service: catalog,
            traffic: TrafficPolicy(
                loadBalancing: .leastRequest,
                connectionPool: ConnectionPool(maxConnections: 100, maxPendingRequests: 10),
                outlierDetection: OutlierDetection(
                    consecutive5xxErrors: 5, intervalSeconds: 10, baseEjectionSeconds: 30),
                retryBudget: RetryBudget(percent: 12.5, minConcurrency: 4)),
            subsets: [.init(name: "stable", labels: ["pod-template-hash": "abc"])])
        let reading = IstioDestinationRule.read(object(.destinationRules, IstioDestinationRule.spec(policy)))
        #expect(reading.problems.isEmpty)
        #expect(reading.value == policy)
    }

    @Test func theOldNameConsecutiveErrorsIsReadAndReported() {
        let reading = IstioDestinationRule.read(
            object(
                .destinationRules, ["host": "catalog", "trafficPolicy": ["outlierDetection": ["consecutiveErrors": 7]]])
        )
        #expect(reading.value?.traffic.outlierDetection?.consecutive5xxErrors == 7)
        #expect(reading.problems.map(\.path) == ["spec.trafficPolicy.outlierDetection.consecutiveErrors"])
    }

    static let mistakes: [(JSONValue, String)] = [
        (["hosts": ["*.example.com"]], "spec.hosts[0]"),
        (["hosts": ["catalog"], "http": [["route": []]]], "spec.http[0].route"),
        (
            ["hosts": ["catalog"], "http": [["timeout": "soon", "route": [["destination": ["host": "catalog"]]]]]],
            "spec.http[0].timeout"
        ),
        (
            [
                "hosts": ["catalog"],
                "http": [["match": [["uri": ["glob": "x"]]], "route": [["destination": ["host": "catalog"]]]]],
            ],
            "spec.http[0].match[0].uri"
        ),
    ]

    @Test(arguments: mistakes)
    func whatIsWrongIsNamedByItsPath(spec: JSONValue, path: String) {
        #expect(IstioVirtualService.read(object(.virtualServices, spec)).problems.map(\.path) == [path])
    }

    @Test func aRouteForAGatewaySaysNothingToSidecars() {
        let reading = IstioVirtualService.read(
            object(
                .virtualServices,
                [
                    "hosts": ["catalog"], "gateways": ["public"],
                    "http": [["route": [["destination": ["host": "catalog"]]]]],
                ]))
        #expect(reading.value == nil && reading.problems.isEmpty)
    }

    @Test func aPortLevelModeWithoutSelectorIsReported() {
        let reading = IstioPeerAuthentication.read(
            object(
                .peerAuthentications, ["mtls": ["mode": "STRICT"], "portLevelMtls": ["8080": ["mode": "PERMISSIVE"]]]))
        #expect(reading.value?.mode == .strict)
        #expect(reading.problems.map(\.path) == ["spec.portLevelMtls"])
    }
}

@Suite struct SnapshotBuilderTests {
    @Test func aSnapshotJoinsServicesSlicesAndPods() throws {
        var service = KubeObject(.services, namespace: "shop", name: "catalog")
        service.spec = [
            "clusterIP": "127.0.10.1",
            "ports": [["name": "http", "port": 80, "targetPort": 8080, "appProtocol": "http"]],
        ]
        var pod = KubeObject(.pods, namespace: "shop", name: "catalog-1")
        pod.labels = ["app": "catalog", "heddle.dev/injected": "true"]
        pod.spec = ["serviceAccountName": "catalog", "containers": [["name": "app"]]]
        pod.status = ["podIP": "127.0.20.1", "phase": "Running"]
        var slice = KubeObject(.endpointSlices, namespace: "shop", name: "catalog-x")
        slice.labels = ["kubernetes.io/service-name": "catalog"]
        slice.json["ports"] = [["name": "http", "port": 8080]]
        slice.json["endpoints"] = [
            [
                "addresses": ["127.0.20.1"], "conditions": ["ready": true],
                "targetRef": ["kind": "Pod", "name": "catalog-1"],
            ],
            ["addresses": ["127.0.20.2"], "conditions": ["ready": false, "terminating": true]],
        ]
        var objects = MeshObjects()
        objects.services = [service]
        objects.pods = [pod]
        objects.endpointSlices = [slice]

        let built = MeshSnapshot.build(from: objects, settings: .init())

        let endpoints = try #require(built.snapshot.endpoints[ServiceID(namespace: "shop", name: "catalog")])
        #expect(endpoints.map(\.address) == ["127.0.20.1"])
        #expect(endpoints[0].targetPorts == [80: 8080])
        #expect(endpoints[0].workload?.isMeshed == true)
        #expect(built.workloads[pod.key]?.ports == [WorkloadPort(number: 8080, protocol: .http)])
    }
}
