import Foundation
import KubeCore
import Testing
@testable import KubeSandbox
@Test func zzserve() async throws {
    let api = APIServer()
    var node = KubeObject(.nodes, name: "n1"); node.status = ["addresses": [["type":"InternalIP","address":"127.0.0.1"]], "conditions": [["type":"Ready","status":"True"]]]
    _ = try await api.create(.nodes, node)
    var p = try await api.create(.pods, pod("a", node: "n1")); p.status = ["phase":"Running","podIP":"127.0.0.1", "conditions": [["type":"Ready","status":"True"]]]
    _ = try await api.update(.pods, p, subresource: "status")
    var slice = KubeObject(.endpointSlices, namespace: "default", name: "web-1"); slice.labels = ["kubernetes.io/service-name":"web"]
    slice.json["addressType"] = "IPv4"; slice.json["ports"] = [["name":"http","port":8080]]; slice.json["endpoints"] = [["addresses":["127.0.0.1"],"conditions":["ready":true]]]
    _ = try await api.create(.endpointSlices, slice)
    var svc = KubeObject(.services, namespace: "default", name: "web"); svc.spec = ["ports":[["port":80]]]
    _ = try await api.create(.services, svc)
    var ep = KubeObject(.endpoints, namespace: "default", name: "web"); ep.json["subsets"] = [["addresses":[["ip":"127.0.0.1"]],"ports":[["port":8080]]]]
    _ = try await api.create(.endpoints, ep)
    try await withFrontEnd(of: api, port: 16443) { front in
        try Data(await front.kubeconfig().utf8).write(to: URL(filePath: "/tmp/apidev/kubeconfig"))
        try Data(front.configuration.identity.authority.utf8).write(to: URL(filePath: "/tmp/apidev/ca.pem"))
        for i in 0..<40 { try await Task.sleep(for: .seconds(1)); if i == 20 { _ = try await api.create(.pods, { var q = pod("late", node: "n1"); q.name = "late"; return q }()); var q = try await api.get(.pods, namespace: "default", name: "late"); q.status = ["phase":"Running","podIP":"127.0.0.9"]; _ = try await api.update(.pods, q, subresource: "status") } }
    }
}
