import KubeJSON

/// Which fields of an object are kept when it is read; the others are checked and passed over, and cost no memory.
///
/// A path names members from the object down: `spec.containers.image`. Lists are passed through: the path means each
/// element's `image`. What a path ends at is kept whole. `metadata.managedFields` is never kept.
///
/// An object so read must not be sent back whole (`update`): patch it, or apply what is owned.
package struct FieldSelection: Sendable {
    /// Names from the object down; write the list form for names that have dots.
    package struct Path: Sendable, Hashable, ExpressibleByStringLiteral, ExpressibleByArrayLiteral {
        package var names: [String]
        package init(stringLiteral text: String) { names = text.split(separator: ".").map(String.init) }
        package init(arrayLiteral names: String...) { self.names = names }
    }

    let trie: FieldTrie

    /// Everything but `metadata.managedFields`.
    package static let whole = FieldSelection(keeping: [[]])

    /// Everything, for documents that are no objects of the API.
    package static let everything = FieldSelection(trie: FieldTrie(keeping: [[]], dropping: []))

    /// What `KubeObject` has a typed view of, of any kind.
    package static let identity: [Path] = [
        "apiVersion", "kind", "metadata.name", "metadata.namespace", "metadata.uid", "metadata.resourceVersion",
        "metadata.generation", "metadata.creationTimestamp", "metadata.deletionTimestamp", "metadata.labels",
        "metadata.annotations", "metadata.ownerReferences", "metadata.finalizers",
    ]

    /// `identity` and the fields at some paths, without what `dropping` takes out of them again.
    package static func only(_ paths: [Path], dropping: [Path] = []) -> Self {
        Self(keeping: identity + paths, dropping: dropping)
    }

    private init(trie: FieldTrie) { self.trie = trie }

    private init(keeping: [Path], dropping: [Path] = []) {
        trie = FieldTrie(
            keeping: keeping.map(\.names), dropping: dropping.map(\.names) + [["metadata", "managedFields"]])
    }

    /// The kept part of a tree: what reading its text with this selection gives.
    package func callAsFunction(_ value: JSONValue) -> JSONValue { trie.kept(of: value, node: trie.root) }
}

extension FieldSelection: Hashable {
    package static func == (a: Self, b: Self) -> Bool { a.trie === b.trie || a.trie.description == b.trie.description }
    package func hash(into hasher: inout Hasher) { hasher.combine(trie.description) }
}

/// A selection made ready for reading: for each object on the way, which names are known and what becomes of them.
final class FieldTrie: Sendable {
    /// Index of a node, or one of the two fates that need none.
    typealias NodeIndex = Int
    static let drop: NodeIndex = -1
    static let keep: NodeIndex = -2

    struct Node: Sendable {
        var edges: Range<Int>
        /// What becomes of a member that no edge names.
        var rest: NodeIndex
    }

    struct Edge: Sendable {
        var name: String
        var node: NodeIndex
        // The name's first and last eight bytes (the same ones in a shorter name): most names are compared by these only.
        var length: Int
        var head: UInt64
        var tail: UInt64
    }

    let nodes: [Node]
    let edges: [Edge]
    let root: NodeIndex
    /// Canonical: equal for equal selections.
    let description: String

    init(keeping: [[String]], dropping: [[String]]) {
        var draft = Draft()
        for path in keeping { draft.keep(path[...]) }
        for path in dropping { draft.drop(path[...]) }
        var nodes: [Node] = []
        var edges: [Edge] = []
        root = draft.flatten(into: &nodes, &edges)
        self.nodes = nodes
        self.edges = edges
        description = draft.description
    }

    /// What becomes of a member of the object at a node, and the edge that knows its name.
    @inline(__always)
    func child(_ name: JSONText, of scanner: borrowing JSONScanner, at node: NodeIndex) -> (node: NodeIndex, edge: Int?)
    {
        if node < 0 { return (node, nil) }
        let length = name.end - name.start
        let (head, tail) = Self.words(scanner.bytes, name.start, length)
        let range = nodes[node].edges
        if name.hasEscapes {
            let text = scanner.string(name)
            for index in range where edges[index].name == text { return (edges[index].node, index) }
            return (nodes[node].rest, nil)
        }
        for index in range {
            guard edges[index].head == head, edges[index].length == length, edges[index].tail == tail else { continue }
            if length > 16, JSONObject.order(edges[index].name, scanner.string(name)) != 0 { continue }
            return (edges[index].node, index)
        }
        return (nodes[node].rest, nil)
    }

    @inline(__always)
    private static func words(_ bytes: Span<UInt8>, _ start: Int, _ length: Int) -> (head: UInt64, tail: UInt64) {
        if length >= 8 { return (bytes.word(at: start), bytes.word(at: start + length - 8)) }
        var head: UInt64 = 0
        if start + 8 <= bytes.count {
            head = bytes.word(at: start) & ((1 << UInt64(length * 8)) - 1)
        } else {
            for offset in 0..<length { head |= UInt64(bytes[start + offset]) << UInt64(offset * 8) }
        }
        return (head, head)
    }

    func kept(of value: JSONValue, node: NodeIndex) -> JSONValue {
        if node < 0 { return value }
        switch value {
        case .array(let elements): return .array(elements.map { kept(of: $0, node: node) })
        case .object(let members):
            let range = nodes[node].edges
            return .object(
                JSONObject(
                    sorted: members.compactMap { name, value in
                        let edge = range.first { JSONObject.order(edges[$0].name, name) == 0 }
                        let child = edge.map { edges[$0].node } ?? nodes[node].rest
                        return child == Self.drop ? nil : .init(key: name, value: kept(of: value, node: child))
                    }))
        default: return value
        }
    }

    /// The tree of names while it is put together.
    private struct Draft {
        var keepsRest = false
        var children: [String: Draft] = [:]

        mutating func keep(_ path: ArraySlice<String>) {
            guard let first = path.first else {
                keepsRest = true
                return
            }
            children[first, default: Draft()].keep(path.dropFirst())
        }

        mutating func drop(_ path: ArraySlice<String>) {
            guard let first = path.first else {
                self = Draft()
                return
            }
            // What isn't kept needs no mention.
            guard keepsRest || children[first] != nil else { return }
            children[first, default: Draft(keepsRest: true)].drop(path.dropFirst())
        }

        var description: String {
            let inner = children.sorted { $0.key < $1.key }.map { "\($0.key)\($0.value.description)" }
            return "{\(inner.joined(separator: ","))\(keepsRest ? "*" : "")}"
        }

        func flatten(into nodes: inout [Node], _ edges: inout [Edge]) -> NodeIndex {
            if children.isEmpty { return keepsRest ? FieldTrie.keep : FieldTrie.drop }
            let index = nodes.count
            nodes.append(Node(edges: 0..<0, rest: keepsRest ? FieldTrie.keep : FieldTrie.drop))
            let own = children.sorted { JSONObject.precedes($0.key, $1.key) }.map { name, child in
                (name, child.flatten(into: &nodes, &edges))
            }
            nodes[index].edges = edges.count..<edges.count + own.count
            for (name, node) in own {
                let bytes = Array(name.utf8)
                let (head, tail) = FieldTrie.words(bytes.span, 0, bytes.count)
                edges.append(Edge(name: name, node: node, length: bytes.count, head: head, tail: tail))
            }
            return index
        }
    }
}
