import KubeJSON

/// The same fields as Swift structs, read by hand with the scanner: what typed reading costs, without a tree.
struct SlimPods: ListConsumer {
    struct Port { var name = "", number = 0 }
    struct Container { var name = "", image = "", ports: [Port] = [] }
    struct Condition { var type = "", status = "" }
    struct Status { var name = "", isReady = false, restarts = 0 }

    struct Pod {
        var name = "", namespace = "", uid = "", resourceVersion = "", created = ""
        var labels: [(String, String)] = []
        var ownerKind = "", ownerName = "", ownerUID = ""
        var serviceAccount = "", node = "", phase = "", address = ""
        var containers: [Container] = []
        var conditions: [Condition] = []
        var statuses: [Status] = []
    }

    var pods: [Pod] = []
    private let strings = StringCache()

    mutating func member(_ name: String, _ scanner: inout JSONScanner) throws(JSONFailure) { try scanner.skip() }

    mutating func item(_ s: inout JSONScanner) throws(JSONFailure) {
        var pod = Pod()
        try s.beginObject()
        var isFirst = true
        while let name = try s.nextName(&isFirst) {
            if s.is(name, "metadata") {
                try metadata(&s, &pod)
            } else if s.is(name, "spec") {
                try spec(&s, &pod)
            } else if s.is(name, "status") {
                try status(&s, &pod)
            } else {
                try s.skip()
            }
        }
        pods.append(pod)
    }

    private func metadata(_ s: inout JSONScanner, _ pod: inout Pod) throws(JSONFailure) {
        try s.beginObject()
        var isFirst = true
        while let name = try s.nextName(&isFirst) {
            if s.is(name, "name") {
                pod.name = try s.string()
            } else if s.is(name, "namespace") {
                pod.namespace = try s.string(cachedIn: strings)
            } else if s.is(name, "uid") {
                pod.uid = try s.string()
            } else if s.is(name, "resourceVersion") {
                pod.resourceVersion = try s.string()
            } else if s.is(name, "creationTimestamp") {
                pod.created = try s.string(cachedIn: strings)
            } else if s.is(name, "labels") {
                try s.beginObject()
                var isFirst = true
                while let key = try s.nextName(&isFirst) {
                    pod.labels.append((s.string(key, cachedIn: strings), try s.string(cachedIn: strings)))
                }
            } else if s.is(name, "ownerReferences") {
                try each(&s) { s, name throws(JSONFailure) in
                    if s.is(name, "kind") {
                        pod.ownerKind = try s.string(cachedIn: strings)
                    } else if s.is(name, "name") {
                        pod.ownerName = try s.string(cachedIn: strings)
                    } else if s.is(name, "uid") {
                        pod.ownerUID = try s.string(cachedIn: strings)
                    } else {
                        try s.skip()
                    }
                } done: {
                }
            } else {
                try s.skip()
            }
        }
    }

    private func spec(_ s: inout JSONScanner, _ pod: inout Pod) throws(JSONFailure) {
        try s.beginObject()
        var isFirst = true
        while let name = try s.nextName(&isFirst) {
            if s.is(name, "serviceAccountName") {
                pod.serviceAccount = try s.string(cachedIn: strings)
            } else if s.is(name, "nodeName") {
                pod.node = try s.string(cachedIn: strings)
            } else if s.is(name, "containers") {
                var container = Container()
                try each(&s) { s, name throws(JSONFailure) in
                    if s.is(name, "name") {
                        container.name = try s.string(cachedIn: strings)
                    } else if s.is(name, "image") {
                        container.image = try s.string(cachedIn: strings)
                    } else if s.is(name, "ports") {
                        var port = Port()
                        try each(&s) { s, name throws(JSONFailure) in
                            if s.is(name, "name") {
                                port.name = try s.string(cachedIn: strings)
                            } else if s.is(name, "containerPort") {
                                port.number = try s.int()
                            } else {
                                try s.skip()
                            }
                        } done: {
                            container.ports.append(port)
                            port = Port()
                        }
                    } else {
                        try s.skip()
                    }
                } done: {
                    pod.containers.append(container)
                    container = Container()
                }
            } else {
                try s.skip()
            }
        }
    }

    private func status(_ s: inout JSONScanner, _ pod: inout Pod) throws(JSONFailure) {
        try s.beginObject()
        var isFirst = true
        while let name = try s.nextName(&isFirst) {
            if s.is(name, "phase") {
                pod.phase = try s.string(cachedIn: strings)
            } else if s.is(name, "podIP") {
                pod.address = try s.string()
            } else if s.is(name, "conditions") {
                var condition = Condition()
                try each(&s) { s, name throws(JSONFailure) in
                    if s.is(name, "type") {
                        condition.type = try s.string(cachedIn: strings)
                    } else if s.is(name, "status") {
                        condition.status = try s.string(cachedIn: strings)
                    } else {
                        try s.skip()
                    }
                } done: {
                    pod.conditions.append(condition)
                }
            } else if s.is(name, "containerStatuses") {
                var status = Status()
                try each(&s) { s, name throws(JSONFailure) in
                    if s.is(name, "name") {
                        status.name = try s.string(cachedIn: strings)
                    } else if s.is(name, "ready") {
                        status.isReady = try s.bool()
                    } else if s.is(name, "restartCount") {
                        status.restarts = try s.int()
                    } else {
                        try s.skip()
                    }
                } done: {
                    pod.statuses.append(status)
                }
            } else {
                try s.skip()
            }
        }
    }

    /// Each member of each object of a list.
    @inline(__always)
    private func each(
        _ s: inout JSONScanner, _ member: (inout JSONScanner, JSONText) throws(JSONFailure) -> Void, done: () -> Void
    ) throws(JSONFailure) {
        try s.beginArray()
        var isFirst = true
        while try s.nextElement(&isFirst) {
            try s.beginObject()
            var isFirst = true
            while let name = try s.nextName(&isFirst) { try member(&s, name) }
            done()
        }
    }
}
