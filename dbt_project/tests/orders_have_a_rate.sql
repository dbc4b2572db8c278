-- Every accepted order can be told in the reporting currency: a rate that was taken away again would leave its
-- amounts unknown, and sums would pass them over.
select
    source,
    order_id,
    currency
from {{ ref('int_orders') }}
where exchange_rate is null
