//! The macro that writes a C function for `float` and for `double`.

/// Writes C functions in pairs. `T` stands for the element type in signatures and bodies;
/// `options<T>` is written as one identifier, see `c_type`. A body has the call's [`Memory`] and
/// returns an [`Outcome`]. The documentation goes to the first of each pair.
///
/// [`Memory`]: crate::memory::Memory
/// [`Outcome`]: crate::boundary::Outcome
macro_rules! twins {
    ($(
        $(#[$doc:meta])*
        fn $f32:ident / $f64:ident ($($argument:ident: $(*$kind:ident)* $type:ident),* $(,)?)
        |$memory:ident| $body:block
    )*) => {
        $(
            twins!(@one f32 [$(#[$doc])*] $f32 ($($argument: [$(*$kind)*] $type),*) $memory $body);
            twins!(
                @one f64 [#[doc = concat!(" The same as ", stringify!($f32), "(), for double.")]]
                $f64 ($($argument: [$(*$kind)*] $type),*) $memory $body
            );
        )*
    };
    (
        @one $real:ident [$(#[$doc:meta])*] $name:ident
        ($($argument:ident: [$(*$kind:ident)*] $type:ident),*) $memory:ident $body:block
    ) => {
        $(#[$doc])*
        #[no_mangle]
        pub unsafe extern "C" fn $name($($argument: $(*$kind)* c_type!($real $type)),*) -> $crate::mantex_status {
            #[allow(dead_code)] // Some bodies name it.
            type T = $real;
            $crate::boundary::status_of(|| {
                // SAFETY: The caller makes the promises of the header's introduction, which are
                // those of `of_caller`.
                let mut $memory = unsafe { $crate::memory::Memory::of_caller() };
                $body
            })
        }
    };
}

/// Returns the type that an identifier in a signature of `twins` stands for.
macro_rules! c_type {
    ($real:ident T) => { $real };
    ($real:ident isa) => { std::mem::MaybeUninit<$crate::mantex_isa> };
    ($real:ident metric) => { std::mem::MaybeUninit<$crate::mantex_metric> };
    ($real:ident softmax_options) => { $crate::mantex_softmax_options<$real> };
    ($real:ident ext_sum) => { $crate::mantex_ext_sum<$real> };
    ($real:ident $other:ident) => { $other };
}
