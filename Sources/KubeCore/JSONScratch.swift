/// A stack of values that are read before it is known how many there are. Values are moved in and out, so building a tree
/// counts no references and grows no arrays; the memory is kept for the next object.
struct JSONScratch<Element>: ~Copyable {
    private var storage: UnsafeMutablePointer<Element>
    private var capacity: Int
    private(set) var count = 0

    init(capacity: Int = 64) {
        storage = .allocate(capacity: capacity)
        self.capacity = capacity
    }

    deinit {
        storage.deinitialize(count: count)
        storage.deallocate()
    }

    mutating func push(_ element: consuming Element) {
        if count == capacity { grow() }
        (storage + count).initialize(to: element)
        count += 1
    }

    /// Takes everything above a height off the stack, in the order in which it was pushed.
    mutating func pop(above height: Int) -> [Element] {
        precondition(height <= count, "a height that the stack has")
        let length = count - height
        if length == 0 { return [] }
        let array = [Element](unsafeUninitializedCapacity: length) { target, initialized in
            target.baseAddress?.moveInitialize(from: storage + height, count: length)
            initialized = length
        }
        count = height
        return array
    }

    /// Throws away everything above a height.
    mutating func drop(above height: Int) {
        precondition(height <= count, "a height that the stack has")
        (storage + height).deinitialize(count: count - height)
        count = height
    }

    private mutating func grow() {
        let larger = UnsafeMutablePointer<Element>.allocate(capacity: capacity * 2)
        larger.moveInitialize(from: storage, count: count)
        storage.deallocate()
        storage = larger
        capacity *= 2
    }

    /// Sorts what is above a height; usually it is short or nearly in order.
    /// - Returns: whether no two elements are the same.
    mutating func sort(above height: Int, by order: (borrowing Element, borrowing Element) -> Int) -> Bool {
        guard count - height > 1 else { return true }
        if count - height > 32 {
            var unsorted = UnsafeMutableBufferPointer(start: storage + height, count: count - height)
            unsorted.sort { order($0, $1) < 0 }
            return !(height + 1..<count).contains { order(storage[$0 - 1], storage[$0]) == 0 }
        }
        var isUnique = true
        for index in height + 1..<count {
            let place = order(storage[index - 1], storage[index])
            if place == 0 { isUnique = false }
            if place > 0 { isUnique = insert(at: index, above: height, by: order) && isUnique }
        }
        return isUnique
    }

    /// Moves an element down to its place among those below, which are in order.
    private mutating func insert(
        at index: Int, above height: Int, by order: (borrowing Element, borrowing Element) -> Int
    ) -> Bool {
        let element = (storage + index).move()
        var place = index
        var difference = 1
        repeat {
            (storage + place).moveInitialize(from: storage + place - 1, count: 1)
            place -= 1
            if place > height { difference = order(storage[place - 1], element) }
        } while place > height && difference > 0
        (storage + place).initialize(to: element)
        return difference != 0
    }
}
