import KubeClient
import KubeCore
import KubeTesting
import NIOHTTP1
import Testing

extension Conformance {
    @Suite struct Lists {
        let cluster = Cluster.current

        @Test func `a list has a version, and the items of its namespace by name`() async throws {
            try await cluster.withNamespace { ns in
                for name in ["c", "a", "b"] { try await ns.create(.secrets, KubeObject(.secrets, name: name)) }
                let list = try await ns.list(.secrets)
                #expect(list["kind"] == "SecretList" && list["apiVersion"] == "v1")
                #expect(Int(list[path: "metadata", "resourceVersion"]?.string ?? "") ?? 0 > 0)
                let names = try await ns.names(.secrets).filter { $0.count == 1 }
                #expect(names == ["a", "b", "c"])
                // Items of built-in kinds do not repeat what the list says.
                #expect(list["items"]?[0]?["kind"] == nil && list["items"]?[0]?["apiVersion"] == nil)
            }
        }

        @Test func `an empty list has an empty array of items`() async throws {
            try await cluster.withNamespace { ns in
                let list = try await ns.list(.services)
                #expect(list["items"] == [])
            }
        }

        @Test func `a list without a namespace has the objects of all`() async throws {
            try await cluster.withNamespace { one in
                try await cluster.withNamespace { two in
                    for ns in [one, two] { try await ns.configMap("x", labels: ["of": one.name]) }
                    let found = try await cluster.client.list(
                        .configMaps, labels: LabelSelector(matchLabels: ["of": one.name]))
                    #expect(Set(found.items.map(\.namespace)) == [one.name, two.name])
                }
            }
        }

        @Test func `a list may be no older than a version, or exactly of it`() async throws {
            try await cluster.withNamespace { ns in
                let first = try await ns.configMap("a", labels: ["t": "x"])
                try await ns.configMap("b", labels: ["t": "x"])
                func names(_ match: String?, _ version: String) async throws -> [String] {
                    var query = ["resourceVersion": version, "labelSelector": "t=x"]
                    query["resourceVersionMatch"] = match
                    return try await ns.names(.configMaps, query)
                }
                #expect(try await names("Exact", first.resourceVersion) == ["a"])
                #expect(try await names("NotOlderThan", first.resourceVersion).contains("a"))
                #expect(try await names(nil, "0").count <= 2)
            }
        }

        @Test(arguments: [
            ["resourceVersionMatch": "Exact"], ["resourceVersionMatch": "Sometimes", "resourceVersion": "1"],
            ["resourceVersionMatch": "Exact", "resourceVersion": "0"],
        ])
        func `a match without a proper version is refused`(query: [String: String]) async throws {
            try await cluster.withNamespace { ns in
                let error = await refusal { () async throws(APIError) in try await ns.list(.configMaps, query) }
                #expect(error.code == 422 || error.code == 400, "\(error)")
            }
        }

        @Test func `a version that is still to come is too large`() async throws {
            try await cluster.withNamespace { ns in
                let version = String((Int(try await ns.version(.configMaps)) ?? 0) + 1_000_000)
                let error = await refusal { () async throws(APIError) in
                    try await ns.list(.configMaps, ["resourceVersion": version])
                }
                #expect(error.code == 504 && error.reason == "Timeout")
                #expect(error.message.contains("Too large resource version"))
            }
        }
    }

    @Suite struct Pages {
        let cluster = Cluster.current

        private func fill(_ ns: TestNamespace) async throws {
            for index in 0..<7 { try await ns.configMap("m\(index)", labels: ["page": "yes"]) }
        }

        @Test func `pages are cut at the limit and say how much remains`() async throws {
            try await cluster.withNamespace { ns in
                for index in 0..<7 { try await ns.create(.services, Objects.service("s\(index)")) }
                let first = try await ns.list(.services, ["limit": "3"])
                #expect(first["items"]?.array?.count == 3)
                #expect(first[path: "metadata", "remainingItemCount"] == 4)
                let token = first[path: "metadata", "continue"]?.string ?? ""
                let second = try await ns.list(.services, ["limit": "3", "continue": token])
                #expect(second[path: "metadata", "remainingItemCount"] == 1)
                let third = try await ns.list(
                    .services, ["limit": "3", "continue": second[path: "metadata", "continue"]?.string ?? ""])
                #expect(third["items"]?[0]?[path: "metadata", "name"] == "s6")
                #expect(third[path: "metadata", "continue"] == nil)
                #expect(third[path: "metadata", "remainingItemCount"] == nil)
            }
        }

        @Test func `all pages show the moment of the first`() async throws {
            try await cluster.withNamespace { ns in
                try await fill(ns)
                let query = ["limit": "3", "labelSelector": "page=yes"]
                let first = try await ns.list(.configMaps, query)
                #expect(first["items"]?.array?.count == 3)
                try await ns.delete(.configMaps, "m5")
                try await ns.configMap("m3a", labels: ["page": "yes"])
                try await ns.patch(.merge, .configMaps, "m4", ["data": ["changed": "yes"]])
                var query2 = query
                query2["limit"] = "50"
                query2["continue"] = first[path: "metadata", "continue"]?.string
                let rest = try await ns.list(.configMaps, query2)
                let names = rest["items"]?.array?.compactMap { $0[path: "metadata", "name"]?.string }
                #expect(names == ["m3", "m4", "m5", "m6"])
                #expect(rest["items"]?[1]?["data"] == nil)
                #expect(
                    rest[path: "metadata", "resourceVersion"] == first[path: "metadata", "resourceVersion"])
            }
        }

        @Test func `with a selector nobody counts what remains`() async throws {
            try await cluster.withNamespace { ns in
                try await fill(ns)
                let page = try await ns.list(.configMaps, ["limit": "2", "labelSelector": "page=yes"])
                #expect(page["items"]?.array?.count == 2)
                #expect(page[path: "metadata", "continue"]?.string?.isEmpty == false)
                #expect(page[path: "metadata", "remainingItemCount"] == nil)
            }
        }

        @Test func `the client follows pages to the end`() async throws {
            try await cluster.withNamespace { ns in
                try await fill(ns)
                let whole = try await cluster.client.list(
                    .configMaps, namespace: ns.name, labels: LabelSelector(matchLabels: ["page": "yes"]), pageSize: 2)
                #expect(whole.items.map(\.name) == (0..<7).map { "m\($0)" })
            }
        }

        @Test func `a token of somebody's own making is refused`() async throws {
            try await cluster.withNamespace { ns in
                let error = await refusal { () async throws(APIError) in
                    try await ns.list(.configMaps, ["limit": "2", "continue": "garbage"])
                }
                #expect(error.code == 400)
            }
        }

        @Test func `a token of a forgotten moment expires and offers to go on`() async throws {
            guard cluster.serves(.compaction) else { return }
            try await cluster.forget?(cluster.past.version)
            func list(_ token: String) async throws(APIError) -> JSONValue {
                try await cluster.client.perform(
                    APIRequest(
                        .list, .configMaps, namespace: cluster.past.namespace,
                        query: ["limit": "10", "continue": token]))
            }
            let error = await refusal { () async throws(APIError) in try await list(cluster.past.continueToken) }
            #expect(error.code == 410 && error.reason == "Expired" && error.isExpired)
            let rest = try await list(try #require(error.continueToken))
            let names = rest["items"]?.array?.compactMap { $0[path: "metadata", "name"]?.string } ?? []
            #expect(names.contains("b") && names.contains("d") && !names.contains("a"))
        }
    }

    @Suite struct Selectors {
        let cluster = Cluster.current

        @Test(arguments: [
            ("app=web", ["a", "b"]), ("app==web", ["a", "b"]), ("app!=web", ["c", "d"]), ("app", ["a", "b", "c"]),
            ("!app", ["d"]), ("app in (web,db)", ["a", "b", "c"]), ("app notin (web)", ["c", "d"]),
            ("app=web,tier=front", ["a"]), ("tier in (front),app", ["a"]), ("tier=", ["d"]),
            ("tier notin (front,)", ["b", "c"]),
        ])
        func `labels select`(selector: String, expected: [String]) async throws {
            try await cluster.withNamespace { ns in
                try await ns.create(.services, service("a", ["app": "web", "tier": "front"]))
                try await ns.create(.services, service("b", ["app": "web"]))
                try await ns.create(.services, service("c", ["app": "db"]))
                try await ns.create(.services, service("d", ["tier": ""]))
                #expect(try await ns.names(.services, ["labelSelector": selector]) == expected)
            }
        }

        private func service(_ name: String, _ labels: [String: String]) -> KubeObject {
            var service = Objects.service(name)
            service.labels = labels
            return service
        }

        @Test(arguments: ["app in web", "app=a=b", "=x", "app in (a", "a b", "app=not valid!", "-x=1"])
        func `a selector that is none is refused`(selector: String) async throws {
            try await cluster.withNamespace { ns in
                let error = await refusal { () async throws(APIError) in
                    try await ns.list(.configMaps, ["labelSelector": selector])
                }
                #expect(error.code == 400 && error.reason == "BadRequest", "\(error)")
            }
        }

        @Test(arguments: [
            ("metadata.name=a", ["a"]), ("metadata.name!=a", ["b", "c"]), ("metadata.name==b", ["b"]),
            ("metadata.name=a,metadata.namespace=elsewhere", []),
        ])
        func `names and namespaces are fields to select by`(selector: String, expected: [String]) async throws {
            try await cluster.withNamespace { ns in
                for name in ["a", "b", "c"] { try await ns.create(.services, Objects.service(name)) }
                #expect(try await ns.names(.services, ["fieldSelector": selector]) == expected)
            }
        }

        @Test func `pods are selected by node, phase and restart policy`() async throws {
            try await cluster.withNamespace { ns in
                try await ns.awaitServiceAccount()
                try await ns.create(.pods, Objects.pod("a", node: "nowhere"))
                try await ns.create(.pods, Objects.pod("b"))
                try await ns.patch(.merge, .pods, "b", subresource: "status", ["status": ["phase": "Failed"]])
                #expect(try await ns.names(.pods, ["fieldSelector": "spec.nodeName=nowhere"]) == ["a"])
                #expect(try await ns.names(.pods, ["fieldSelector": "spec.nodeName="]) == ["b"])
                #expect(try await ns.names(.pods, ["fieldSelector": "status.phase=Failed"]) == ["b"])
                #expect(try await ns.names(.pods, ["fieldSelector": "status.phase!=Failed"]) == ["a"])
                #expect(try await ns.names(.pods, ["fieldSelector": "spec.restartPolicy=Always"]) == ["a", "b"])
                try await ns.delete(.pods, "a", ["gracePeriodSeconds": 0])
            }
        }

        @Test(arguments: ["data.key=a", "metadata.labels.app=web", "metadata.name"])
        func `a field that cannot be selected by is refused`(selector: String) async throws {
            try await cluster.withNamespace { ns in
                let error = await refusal { () async throws(APIError) in
                    try await ns.list(.configMaps, ["fieldSelector": selector])
                }
                #expect(error.code == 400)
            }
        }
    }
}

extension TestNamespace {
    /// Waits until pods of an account are admitted: a controller makes it, and the server takes some time to know.
    func awaitServiceAccount(_ account: String = "default") async throws {
        if !cluster.serves(.controllers), account == "default", try await find(.serviceAccounts, account) == nil {
            try await create(.serviceAccounts, KubeObject(.serviceAccounts, name: account))
        }
        var pod = Objects.pod("dry-run")
        pod.spec["serviceAccountName"] = .string(account)
        let isKnown = await eventually(within: .seconds(30)) {
            (try? await create(.pods, pod, ["dryRun": "All"])) != nil
        }
        #expect(isKnown)
    }
}
