//! An allocator that counts for each thread: a test that includes this file has it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
    static LIVE: Cell<usize> = const { Cell::new(0) };
}

fn count(allocated: usize, freed: usize) {
    ALLOCATIONS.set(ALLOCATIONS.get() + usize::from(allocated > 0));
    LIVE.set(LIVE.get().wrapping_add(allocated).wrapping_sub(freed));
}

#[allow(unsafe_code)]
// SAFETY: every call goes to the system's allocator unchanged; counting touches a thread's own cells, which allocate
// nothing and have no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(0, layout.size());
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size, layout.size());
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often this thread has allocated.
pub(crate) fn allocations() -> usize {
    ALLOCATIONS.get()
}

/// Bytes that this thread has allocated and not freed; what others freed for it counts as held, modulo 2^64.
#[allow(dead_code)] // some tests count allocations alone
pub(crate) fn live() -> usize {
    LIVE.get()
}
