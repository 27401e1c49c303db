//! A global allocator that keeps large freed blocks, so that a training step touches no fresh pages.
//!
//! Every step of a training run asks for the same large blocks. The system's allocator returns them to the kernel and
//! fetches them anew, and each fresh page costs a fault and a zeroing: a quarter of a step's time in candle's case.
//! Blocks of 256 KiB and more are therefore kept in lists by size class (eight classes per power of two: at most
//! 12.5 % waste), those of 2 MiB and more on huge pages; smaller blocks go to the system's allocator, as everything
//! does on other systems than Linux.

use std::alloc::{GlobalAlloc, Layout, System};

/// The allocator; install it with `#[global_allocator]` in a binary.
#[derive(Debug)]
pub struct RecyclingAllocator {
    #[cfg(target_os = "linux")]
    cache: cache::Cache,
}

impl RecyclingAllocator {
    /// An allocator with nothing cached, which keeps at most 1 GiB.
    pub const fn new() -> Self {
        Self::with_limit(1 << 30)
    }

    /// An allocator that keeps at most `max_cached` bytes of freed blocks; what exceeds it is unmapped.
    pub const fn with_limit(max_cached: usize) -> Self {
        #[cfg(target_os = "linux")]
        return Self { cache: cache::Cache::new(max_cached) };
        #[cfg(not(target_os = "linux"))]
        {
            let _ = max_cached;
            Self {}
        }
    }

    /// Bytes of freed blocks that are kept for reuse; always 0 where nothing is recycled.
    pub fn cached_bytes(&self) -> usize {
        #[cfg(target_os = "linux")]
        return self.cache.cached_bytes();
        #[cfg(not(target_os = "linux"))]
        0
    }

    /// Bytes that were ever fetched from the system for blocks that are recycled; always 0 where nothing is. It stays
    /// where it is while a training step finds what the step before it left.
    pub fn fetched_bytes(&self) -> usize {
        #[cfg(target_os = "linux")]
        return self.cache.fetched_bytes();
        #[cfg(not(target_os = "linux"))]
        0
    }
}

impl Default for RecyclingAllocator {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(not(target_os = "linux"))]
// SAFETY: every method forwards to `System`.
unsafe impl GlobalAlloc for RecyclingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's contract is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller's contract is passed on.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[cfg(target_os = "linux")]
// SAFETY: a block is served by the same allocator, `System` or the cache, in all four methods, because that depends on
// its layout alone; the cache hands out mappings of at least the class's size, aligned to a page, to one owner each.
unsafe impl GlobalAlloc for RecyclingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match cache::class_of(layout) {
            Some(class) => self.cache.take(class).0,
            // SAFETY: the caller's contract is passed on.
            None => unsafe { System.alloc(layout) },
        }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        match cache::class_of(layout) {
            // SAFETY: the block came from `take` with the same class, and its owner gives it up.
            Some(class) => unsafe { self.cache.put(ptr, class) },
            // SAFETY: the caller's contract is passed on.
            None => unsafe { System.dealloc(ptr, layout) },
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let Some(class) = cache::class_of(layout) else {
            // SAFETY: the caller's contract is passed on.
            return unsafe { System.alloc_zeroed(layout) };
        };
        let (ptr, is_fresh) = self.cache.take(class);
        if !ptr.is_null() && !is_fresh {
            // SAFETY: the block holds at least `layout.size()` bytes and is ours. Fresh mappings are zero already.
            unsafe { ptr.write_bytes(0, layout.size()) };
        }
        ptr
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller guarantees that the new size, rounded up to the alignment, does not overflow.
        let new_layout = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        match (cache::class_of(layout), cache::class_of(new_layout)) {
            // SAFETY: the caller's contract is passed on.
            (None, None) => unsafe { System.realloc(ptr, layout, new_size) },
            (Some(old), Some(new)) if old == new => ptr,
            _ => {
                // SAFETY: as above; the old block is given up only after its contents were copied, within both sizes.
                unsafe {
                    let to = self.alloc(new_layout);
                    if !to.is_null() {
                        to.copy_from_nonoverlapping(ptr, layout.size().min(new_size));
                        self.dealloc(ptr, layout);
                    }
                    to
                }
            }
        }
    }
}

#[cfg(target_os = "linux")]
mod cache {
    use std::alloc::Layout;
    use std::cell::UnsafeCell;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    /// Blocks from here on are recycled.
    const SMALLEST: usize = 256 << 10;
    /// Blocks from here on lie on huge pages, where the system has some.
    const HUGE_PAGE: usize = 2 << 20;
    const PAGE: usize = 4 << 10;
    /// Classes per power of two; sizes are rounded up to the next, so at most 1/8 is wasted.
    const STEPS: usize = 8;
    /// Powers of two from 2^18 to 2^45, far beyond any machine.
    const N_CLASSES: usize = STEPS * 28;

    /// Index of a size class.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub(super) struct Class(usize);

    impl Class {
        /// Bytes of a block: (8 + step) · 2^(power − 3), rounded to huge pages where they apply.
        pub(super) fn size(self) -> usize {
            let power = SMALLEST.trailing_zeros() as usize + self.0 / STEPS;
            (STEPS + self.0 % STEPS) << (power - STEPS.trailing_zeros() as usize)
        }
    }

    /// The class that serves a layout; None for what the system's allocator serves.
    pub(super) fn class_of(layout: Layout) -> Option<Class> {
        let size = layout.size();
        if size < SMALLEST || layout.align() > PAGE {
            return None;
        }
        let power = size.ilog2() as usize;
        let unit = 1 << (power - STEPS.trailing_zeros() as usize);
        let step = size.div_ceil(unit) - STEPS; // 0..=8; 8 is step 0 of the next power
        let index = (power - SMALLEST.trailing_zeros() as usize) * STEPS + step;
        (index < N_CLASSES).then_some(Class(index))
    }

    /// Lists of free blocks. The link to the next block of a list is kept in the block's first bytes.
    #[derive(Debug)]
    struct Lists {
        heads: [*mut u8; N_CLASSES],
        cached_bytes: usize,
    }

    #[derive(Debug)]
    pub(super) struct Cache {
        max_cached: usize,
        fetched_bytes: AtomicUsize,
        /// A spin lock: a mutex of the standard library would be as good, but must never allocate or park in here.
        is_locked: AtomicBool,
        lists: UnsafeCell<Lists>,
    }

    // SAFETY: the lists are only reached while the lock is held, and the blocks in them belong to nobody else.
    unsafe impl Sync for Cache {}
    // SAFETY: as above; nothing in it is bound to a thread.
    unsafe impl Send for Cache {}

    impl Cache {
        pub(super) const fn new(max_cached: usize) -> Self {
            Self {
                max_cached,
                fetched_bytes: AtomicUsize::new(0),
                is_locked: AtomicBool::new(false),
                lists: UnsafeCell::new(Lists { heads: [std::ptr::null_mut(); N_CLASSES], cached_bytes: 0 }),
            }
        }

        pub(super) fn cached_bytes(&self) -> usize {
            self.with_lists(|lists| lists.cached_bytes)
        }

        pub(super) fn fetched_bytes(&self) -> usize {
            self.fetched_bytes.load(Ordering::Relaxed)
        }

        fn with_lists<R>(&self, work: impl FnOnce(&mut Lists) -> R) -> R {
            while self.is_locked.compare_exchange_weak(false, true, Ordering::Acquire, Ordering::Relaxed).is_err() {
                // Whoever holds the lock needs a few instructions, unless it was interrupted: let it run then.
                std::thread::yield_now();
            }
            // SAFETY: the lock is held, so this is the only reference.
            let result = work(unsafe { &mut *self.lists.get() });
            self.is_locked.store(false, Ordering::Release);
            result
        }

        /// A block of the class (null when the system has no memory), and whether it is fresh, that is zero.
        pub(super) fn take(&self, class: Class) -> (*mut u8, bool) {
            let recycled = self.with_lists(|lists| {
                let block = lists.heads[class.0];
                if !block.is_null() {
                    // SAFETY: a listed block is mapped, page-aligned, and starts with the link that `put` wrote.
                    lists.heads[class.0] = unsafe { block.cast::<*mut u8>().read() };
                    lists.cached_bytes -= class.size();
                }
                block
            });
            if !recycled.is_null() {
                return (recycled, false);
            }
            self.fetched_bytes.fetch_add(class.size(), Ordering::Relaxed);
            (map(class.size()), true)
        }

        /// Keeps a block for later, or unmaps it when enough is kept.
        ///
        /// # Safety
        /// The block came from `take` with this class and belongs to the caller.
        pub(super) unsafe fn put(&self, block: *mut u8, class: Class) {
            let is_kept = self.with_lists(|lists| {
                if lists.cached_bytes + class.size() > self.max_cached {
                    return false;
                }
                // SAFETY: the block is mapped, page-aligned and the caller's to give.
                unsafe { block.cast::<*mut u8>().write(lists.heads[class.0]) };
                lists.heads[class.0] = block;
                lists.cached_bytes += class.size();
                true
            });
            if !is_kept {
                // SAFETY: exactly what `map` mapped, and nobody uses it any more.
                unsafe { libc::munmap(block.cast(), class.size().next_multiple_of(PAGE)) };
            }
        }

        /// Unmaps everything that is kept.
        fn clear(&self) {
            for index in 0..N_CLASSES {
                let class = Class(index);
                loop {
                    let (block, size) = self.with_lists(|lists| {
                        let block = lists.heads[index];
                        if !block.is_null() {
                            // SAFETY: as in `take`.
                            lists.heads[index] = unsafe { block.cast::<*mut u8>().read() };
                            lists.cached_bytes -= class.size();
                        }
                        (block, class.size().next_multiple_of(PAGE))
                    });
                    if block.is_null() {
                        break;
                    }
                    // SAFETY: exactly what `map` mapped, and it is in no list any more.
                    unsafe { libc::munmap(block.cast(), size) };
                }
            }
        }
    }

    impl Drop for Cache {
        fn drop(&mut self) {
            self.clear();
        }
    }

    /// Fresh, zeroed memory, aligned to huge pages where it is large enough for one; null on failure.
    fn map(size: usize) -> *mut u8 {
        let size = size.next_multiple_of(PAGE);
        let surplus = if size >= HUGE_PAGE { HUGE_PAGE } else { 0 };
        // SAFETY: a new private mapping at a place of the kernel's choice touches no existing memory.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                size + surplus,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return std::ptr::null_mut();
        }
        let start: *mut u8 = start.cast();
        if surplus == 0 {
            return start;
        }
        let head = start.align_offset(HUGE_PAGE);
        // SAFETY: head < surplus and head is a multiple of a page, so both cut-off ends are whole pages inside the
        // mapping; what stays is `size` bytes. Advice about it changes no contents.
        unsafe {
            let block = start.add(head);
            if head > 0 {
                libc::munmap(start.cast(), head);
            }
            libc::munmap(block.add(size).cast(), surplus - head);
            libc::madvise(block.cast(), size, libc::MADV_HUGEPAGE);
            block
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn classes_hold_their_sizes_with_little_waste() {
            let mut size = SMALLEST;
            while size < 1 << 36 {
                let class = class_of(Layout::from_size_align(size, 8).unwrap()).unwrap();
                let given = class.size();
                assert!(given >= size && given - size <= size / 8, "{size} {given}");
                size += size / 13 + 1;
            }
            assert!(class_of(Layout::from_size_align(SMALLEST - 1, 8).unwrap()).is_none());
            assert!(class_of(Layout::from_size_align(SMALLEST, 2 * PAGE).unwrap()).is_none());
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    fn layout(size: usize) -> Layout {
        Layout::from_size_align(size, 64).unwrap()
    }

    #[test]
    fn recycles_and_zeroes() {
        let allocator = RecyclingAllocator::new();
        let layout = layout(3 << 20);
        // SAFETY: plain use of the allocator, within the sizes asked for.
        unsafe {
            let first = allocator.alloc(layout);
            assert_eq!(first.align_offset(2 << 20), 0);
            first.write_bytes(7, layout.size());
            allocator.dealloc(first, layout);
            assert_eq!(allocator.cached_bytes(), 3 << 20);
            let second = allocator.alloc_zeroed(layout);
            assert_eq!(first, second, "the block is used again");
            assert_eq!(allocator.fetched_bytes(), 3 << 20);
            assert_eq!(allocator.cached_bytes(), 0);
            let bytes = std::slice::from_raw_parts(second, layout.size());
            assert!(bytes.iter().all(|&byte| byte == 0));
            allocator.dealloc(second, layout);
        }
    }

    #[test]
    fn realloc_keeps_the_contents_across_the_border() {
        let allocator = RecyclingAllocator::new();
        let sizes = [1000, 300 << 10, 301 << 10, 5 << 20, 270 << 10, 100];
        // SAFETY: plain use of the allocator, within the sizes asked for.
        unsafe {
            let mut block = allocator.alloc(layout(sizes[0]));
            for i in 0..100 {
                block.add(i).write(i as u8);
            }
            for pair in sizes.windows(2) {
                block = allocator.realloc(block, layout(pair[0]), pair[1]);
                for i in 0..100 {
                    assert_eq!(block.add(i).read(), i as u8, "{pair:?}");
                }
                block.add(pair[1] - 1).write(99);
            }
            allocator.dealloc(block, layout(100));
        }
    }

    #[test]
    fn keeps_no_more_than_its_limit() {
        let allocator = RecyclingAllocator::with_limit(4 << 20);
        let layout = layout(2 << 20);
        // SAFETY: plain use of the allocator.
        unsafe {
            let blocks = [(); 5].map(|()| allocator.alloc(layout));
            for block in blocks {
                allocator.dealloc(block, layout);
            }
        }
        assert_eq!(allocator.cached_bytes(), 4 << 20);
    }

    #[test]
    fn serves_several_threads() {
        let allocator = RecyclingAllocator::new();
        std::thread::scope(|scope| {
            for thread in 0..4u8 {
                let allocator = &allocator;
                scope.spawn(move || {
                    for round in 0..200 {
                        let layout = layout((256 << 10) + 4096 * (round % 7));
                        // SAFETY: plain use of the allocator, within the size asked for.
                        unsafe {
                            let block = allocator.alloc(layout);
                            block.write_bytes(thread, layout.size());
                            std::thread::yield_now();
                            let bytes = std::slice::from_raw_parts(block, layout.size());
                            assert!(bytes.iter().all(|&byte| byte == thread));
                            allocator.dealloc(block, layout);
                        }
                    }
                });
            }
        });
    }
}
