/// Who calls whom among the workloads of one Adoption: the order in which they become strict.
package struct CallGraph: Sendable, Hashable {
    private let callees: [String: Set<String>]
    private let names: [String]

    package init(workloads: [String], calls: [CallEdge]) {
        names = workloads.sorted()
        let known = Set(workloads)
        callees = calls.reduce(into: [:]) { callees, call in
            guard call.client != call.workload, known.contains(call.client), known.contains(call.workload) else {
                return
            }
            callees[call.client, default: []].insert(call.workload)
        }
    }

    /// Leaves (workloads that call none of the others) first, then their callers; cycles in the order of names. Equal
    /// input gives equal order.
    package var leavesFirst: [String] {
        var order: [String] = []
        var open = names
        while !open.isEmpty {
            let placed = Set(order)
            var layer = open.filter { (callees[$0] ?? []).isSubset(of: placed) }
            if layer.isEmpty { layer = [open[0]] }
            order += layer
            open.removeAll(where: layer.contains)
        }
        return order
    }
}
